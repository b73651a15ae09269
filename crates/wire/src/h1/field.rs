//! One header or trailer line.

use super::lines::Line;
use crate::bytes_class::{is_field_value, is_token, trim_ows};
use crate::headers::Span;
use crate::{Refusal, RefusalKind};

/// Reads `field-name ":" OWS field-value OWS` (RFC 9112, 5). `first` tells whether the line before is no field.
pub(super) fn read(bytes: &[u8], line: Line, first: bool) -> Result<Span, Refusal> {
    let text = bytes.get(line.start..line.end).unwrap_or_default();
    let refuse = |kind, at: usize| Err(Refusal::at(kind, line.start + at));
    let name_len = text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len());
    match (name_len, text.get(name_len)) {
        (0, Some(b' ' | b'\t')) if first => return refuse(RefusalKind::LeadingWhitespace, 0),
        (0, Some(b' ' | b'\t')) => return refuse(RefusalKind::ObsFold, 0),
        (0, Some(b':')) => return refuse(RefusalKind::EmptyHeaderName, 0),
        (_, Some(b':')) => {}
        (_, None) => return refuse(RefusalKind::MissingColon, name_len),
        (_, Some(b' ' | b'\t')) if is_blank_before_colon(text.get(name_len..).unwrap_or_default()) => {
            return refuse(RefusalKind::SpaceBeforeColon, name_len);
        }
        (_, Some(_)) => return refuse(RefusalKind::InvalidHeaderName, name_len),
    }
    let rest = text.get(name_len + 1..).unwrap_or_default();
    // Without an early way out the compiler checks many bytes at once.
    if !rest.iter().fold(true, |valid, &byte| valid & is_field_value(byte)) {
        let bad = rest.iter().position(|&byte| !is_field_value(byte)).unwrap_or_default();
        return refuse(RefusalKind::InvalidHeaderValue, name_len + 1 + bad);
    }
    let value = trim_ows(rest);
    let leading = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or_default();
    let value_at = line.start + name_len + 1 + leading;
    // Heads and trailer sections are far below 4 GiB, whatever the limits say.
    let too_large = |_| Refusal::new(RefusalKind::HeadTooLarge);
    Ok(Span {
        name: u32::try_from(line.start).map_err(too_large)?,
        name_len: u32::try_from(name_len).map_err(too_large)?,
        value: u32::try_from(value_at).map_err(too_large)?,
        value_len: u32::try_from(value.len()).map_err(too_large)?,
    })
}

fn is_blank_before_colon(text: &[u8]) -> bool {
    text.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b':')
}
