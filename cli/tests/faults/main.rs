//! Whatever a line, a gateway or an upstream does, each event takes effect once, and none waits for ever.
//! Method: for each dialect and each fault of the kit, several runs of a real store, a real uploader and a real hub in
//! this process, with the kit's proxy between them; at the end the hub's ledger is compared with what was captured.
//!
//! Each test prints its part of the matrix. All of it, in less than a minute, and the same with more seeds:
//!
//! ```text
//! cargo nextest run -p onceward-cli -E 'binary(faults)' --success-output final
//! ONCEWARD_MATRIX_RUNS=6 cargo nextest run -p onceward-cli -E 'binary(faults)' --success-output final
//! ```
//!
//! With `--no-capture` the dialects come one after another, which takes longer.
//!
//! | column    | what                                                                                          |
//! |-----------|-----------------------------------------------------------------------------------------------|
//! | `runs`    | stores, each with a seed of its own                                                           |
//! | `met`     | requests that met the fault; a run that meets none fails                                      |
//! | `review`  | events that went to a person, who had them sent again; only what refuses by name may do this  |
//! | `lost`    | events that the terminal holds for taken, and that are not in the ledger                      |
//! | `doubled` | events that are in the ledger more than once                                                  |
//! | `stuck`   | events that had no final answer when the line had been well again for long                    |

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and the matrix is its result"
)]

mod hub;
mod matrix;
mod rows;
mod spoken;
mod terminal;

use spoken::Spoken;

#[test]
fn forloy_comes_through_every_fault() {
    matrix::assert_all_once(Spoken::Forloy);
}

#[test]
fn wede_comes_through_every_fault() {
    matrix::assert_all_once(Spoken::Wede);
}

#[test]
fn the_segment_stream_comes_through_every_fault() {
    matrix::assert_all_once(Spoken::Onceward);
}

#[test]
fn a_file_with_lists_of_events_comes_through_every_fault() {
    matrix::assert_all_once(Spoken::HttpList);
}

#[test]
fn a_file_with_one_event_a_request_comes_through_every_fault() {
    matrix::assert_all_once(Spoken::HttpSingle);
}

#[test]
fn the_matrix_has_every_fault_of_the_kit() {
    rows::assert_complete();
}
