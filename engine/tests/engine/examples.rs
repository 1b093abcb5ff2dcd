//! Every example does what it says, and asserts it.
//! Method: each is a module here, and its `main` is run.

#[path = "../../examples/11_async.rs"]
mod asynchronous;
#[path = "../../examples/01_capture.rs"]
mod capture;
#[cfg(feature = "encryption")]
#[path = "../../examples/09_encryption.rs"]
mod encryption;
#[path = "../../examples/02_group_of_captures.rs"]
mod group_of_captures;
#[path = "../../examples/03_idempotent_call.rs"]
mod idempotent_call;
#[path = "../../examples/04_inbox.rs"]
mod inbox;
#[path = "../../examples/06_limits.rs"]
mod limits;
#[cfg(feature = "rescue")]
#[path = "../../examples/07_rescue.rs"]
mod rescue;
#[path = "../../examples/05_review.rs"]
mod review;
#[cfg(feature = "testing")]
#[path = "../../examples/10_testing.rs"]
mod testing;
#[path = "../../examples/08_threads.rs"]
mod threads;

#[test]
fn a_capture_is_answered() {
    capture::main().unwrap();
}

#[test]
fn a_group_of_captures_is_there_whole() {
    group_of_captures::main().unwrap();
}

#[test]
fn an_idempotent_call_takes_effect_once() {
    idempotent_call::main().unwrap();
}

#[test]
fn an_inbox_takes_a_delivery_once() {
    inbox::main().unwrap();
}

#[test]
fn what_was_refused_is_reviewed() {
    review::main().unwrap();
}

#[cfg(feature = "encryption")]
#[test]
fn an_encrypted_store_is_refused_without_its_key() {
    encryption::main().unwrap();
}

#[test]
fn limits_refuse_and_make_room() {
    limits::main().unwrap();
}

#[cfg(feature = "rescue")]
#[test]
fn what_a_terminal_did_not_deliver_goes_along() {
    rescue::main().unwrap();
}

#[test]
fn threads_sell_sync_and_decide_and_end_in_order() {
    threads::main().unwrap();
}

#[cfg(feature = "testing")]
#[test]
fn a_host_is_tested_on_a_machine_in_memory() {
    testing::main().unwrap();
}

#[test]
fn a_kiosk_takes_orders_from_async_code() {
    asynchronous::main().unwrap();
}
