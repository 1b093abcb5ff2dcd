//! What the whole-system tests share. The tests themselves are the files beside this folder.

#![forbid(unsafe_code)]

pub mod tidy;
