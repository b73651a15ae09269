//! Directives that set something.

use crate::error::{Notice, Place, RuleError, nearest};
use crate::parse::{SETTINGS, Treatment, engine_mode};
use crate::program::Settings;

/// Takes one directive over into the settings.
pub(super) fn apply(
    settings: &mut Settings,
    place: &Place,
    name: &'static str,
    values: &[String],
    notices: &mut Vec<Notice>,
    errors: &mut Vec<RuleError>,
) {
    let treatment = SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, treatment)| *treatment);
    match treatment {
        Some(Treatment::Host(why)) => {
            notices.push(Notice {
                place: place.clone(),
                message: format!("`{name}` has no effect here: {why}"),
            });
        }
        Some(Treatment::Refused(why)) => {
            errors.push(RuleError::new(place, format!("`{name}` is not supported")).help(why));
        }
        Some(Treatment::Followed) | None => {
            if let Err((message, help)) = set(settings, name, values) {
                let error = RuleError::new(place, format!("`{name}`: {message}"));
                errors.push(error.help(help));
            }
        }
    }
}

type Wrong = (String, String);

fn set(settings: &mut Settings, name: &str, values: &[String]) -> Result<(), Wrong> {
    let first = || {
        values
            .first()
            .map(String::as_str)
            .ok_or_else(|| ("a value was expected".to_owned(), "it stands on the same line".to_owned()))
    };
    match name {
        "SecRuleEngine" => {
            settings.mode =
                engine_mode(first()?).map_err(|(message, help)| (message, help.unwrap_or_default()))?;
        }
        "SecRequestBodyAccess" => settings.request_body = switch(first()?)?,
        "SecResponseBodyAccess" => settings.response_body = switch(first()?)?,
        "SecResponseBodyMimeType" => {
            settings.response_types = values.iter().map(|value| value.to_ascii_lowercase()).collect()
        }
        "SecResponseBodyMimeTypesClear" => settings.response_types.clear(),
        "SecRequestBodyLimit" => settings.request_body_limit = number(first()?, 1 << 30)?,
        "SecRequestBodyNoFilesLimit" => settings.request_body_no_files_limit = number(first()?, 1 << 30)?,
        "SecResponseBodyLimit" => settings.response_body_limit = number(first()?, 1 << 30)?,
        "SecRequestBodyLimitAction" => settings.request_body_reject = rejects(first()?)?,
        "SecResponseBodyLimitAction" => settings.response_body_reject = rejects(first()?)?,
        "SecRequestBodyJsonDepthLimit" => settings.depth = number(first()?, 1_000)?,
        "SecArgumentsLimit" => settings.arguments = number(first()?, 100_000)?,
        "SecUploadFileLimit" => settings.uploads = number(first()?, 10_000)?,
        "SecArgumentSeparator" => settings.separator = byte(first()?)?,
        "SecCookieV0Separator" => settings.cookie_separator = byte(first()?)?,
        "SecCookieFormat" => {
            if first()? != "0" {
                return Err((
                    "only Netscape cookies are read".to_owned(),
                    "use 0: nothing sends version 1 cookies any more".to_owned(),
                ));
            }
        }
        "SecCollectionTimeout" => {
            settings.collection_timeout = u64::try_from(number(first()?, 31_536_000)?).unwrap_or(u64::MAX);
        }
        "SecWebAppId" => first()?.clone_into(&mut settings.web_app),
        "SecComponentSignature" => settings.signature.push(first()?.to_owned()),
        _ => return Err(("the engine does not follow it".to_owned(), "leave it out".to_owned())),
    }
    Ok(())
}

fn switch(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err((format!("`{text}` is neither On nor Off"), "On or Off".to_owned())),
    }
}

fn rejects(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "reject" => Ok(true),
        "processpartial" => Ok(false),
        _ => {
            let meant = nearest(text, ["Reject", "ProcessPartial"]).unwrap_or("Reject");
            Err((format!("`{text}` is no action at a limit"), format!("did you mean `{meant}`?")))
        }
    }
}

fn number(text: &str, most: usize) -> Result<usize, Wrong> {
    match text.parse::<usize>() {
        Ok(value) if (1..=most).contains(&value) => Ok(value),
        _ => Err((
            format!("`{text}` is no number from 1 to {most}"),
            "the bound keeps memory bounded".to_owned(),
        )),
    }
}

fn byte(text: &str) -> Result<u8, Wrong> {
    match text.as_bytes() {
        [one] => Ok(*one),
        _ => Err((format!("`{text}` is not one byte"), "as in `&`".to_owned())),
    }
}
