//! Whether bytes are what they should be.

use super::Wrong;
use crate::transform::is_hex;

/// `10,13,32-126`
pub(super) fn byte_range(argument: &[u8]) -> Result<Box<[bool; 256]>, Wrong> {
    let mut allowed = Box::new([false; 256]);
    for one in String::from_utf8_lossy(argument).split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let (from, to) = one.split_once('-').unwrap_or((one, one));
        let wrong = || (format!("`{one}` is no range of bytes"), "as in `10,13,32-126`");
        let from: u8 = from.trim().parse().map_err(|_| wrong())?;
        let to: u8 = to.trim().parse().map_err(|_| wrong())?;
        if from > to {
            return Err(wrong());
        }
        for byte in from..=to {
            if let Some(slot) = allowed.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
    }
    Ok(allowed)
}

/// A `%` that no two hexadecimal digits follow.
pub(super) fn bad_url_encoding(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value).any(|at| {
        let digits = value.get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(|digit| is_hex(*digit)))
    })
}
