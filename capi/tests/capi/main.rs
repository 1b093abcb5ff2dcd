//! The C interface is what its header says, and what a program in C gets.
//! Method: each module opens with its own promise and method.

mod from_c;
mod header;
