//! Bodies to the values that rules look at. Nothing here recurses, and each reader has a bound for all it keeps.

pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod urlencoded;
pub(crate) mod xml;

#[cfg(test)]
mod tests;
