//! Every example does what it says, and asserts it.
//! Method: each is a module here, and its `main` is run.

#[path = "../../examples/upload.rs"]
mod upload;

#[test]
fn an_uploader_is_paused_flushed_and_stopped() {
    upload::main().unwrap();
}
