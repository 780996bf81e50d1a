//! `make demo`: the life of one cluster on an emulated AWS, told step by step. The functions are the real binaries, invoked
//! by the real `cargo lambda invoke`; every step checks what it claims, and the demo fails where that does not hold.

mod failure;
mod fleet;
mod invoke;
mod layout;
mod print;
mod report;
mod stage;
mod story;

use std::io::Write as _;
use std::process::ExitCode;

use crate::print::Narrator;

fn main() -> ExitCode {
    // The story has ended, and with it every process that it started, before anything is said of how it went.
    match story::tell(&mut Narrator::on_stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when this cannot be written either.
            let _ = writeln!(std::io::stderr().lock(), "\nThe demo failed: {failure}");
            ExitCode::FAILURE
        }
    }
}
