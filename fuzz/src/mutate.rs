//! Damage.

/// SplitMix64: the same inputs every time.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit.max(1)
    }
}

/// What parsers trip over.
const JUNK: [&str; 40] = [
    "\r",
    "\n",
    "\r\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "=",
    "\"",
    "\\",
    "0",
    "-1",
    "+",
    "0x",
    "1e9",
    "%",
    "%2e",
    "%2f",
    "%00",
    "..",
    "//",
    "./",
    "\0",
    "\u{7f}",
    "\u{e9}",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "&",
    "*",
    "?",
    "#",
    "chunked",
    "Content-Length: 1\r\n",
    "Host: x\r\n",
    "é",
];

/// A seed, damaged in a few places, sometimes joined with a part of another.
pub fn damaged(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..end, JUNK[random.below(JUNK.len())].bytes())),
            2 => drop(bytes.splice(at..at, JUNK[random.below(JUNK.len())].bytes())),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes.truncate(64 * 1024);
    bytes
}
