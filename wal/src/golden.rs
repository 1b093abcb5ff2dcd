//! The examples of `FORMAT.md`, for tests.

/// The bytes of the block tagged `golden:NAME`.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let document = include_str!("../FORMAT.md");
    let (_, after) = document.split_once(&format!("```hex golden:{name}\n")).unwrap();
    let (block, _) = after.split_once("```").unwrap();
    block.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
