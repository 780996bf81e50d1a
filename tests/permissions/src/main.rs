//! The gate of `make test`: `permissions FOLDER` compares the functions' roles with the calls noted in the folder, and fails
//! where they differ.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use permissions::compare::{Compared, compare};
use permissions::reference::Reference;
use permissions::template::{Template, venv};
use permissions::{Failure, TEMPLATES, calls};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        say("Say in which folder the calls are noted.");
        return ExitCode::FAILURE;
    };
    match run(Path::new(&folder)) {
        Ok(compared) => {
            compared.summary.iter().chain(&compared.findings).for_each(|line| say(line));
            if compared.findings.is_empty() {
                say("Everything called is allowed, and everything allowed is called.");
                return ExitCode::SUCCESS;
            }
            say("Bring the roles of infra/*.yaml to what the functions call, or the tests to all that they do.");
        }
        Err(failure) => say(&format!("The roles cannot be compared: {failure}")),
    }
    ExitCode::FAILURE
}

fn run(folder: &Path) -> Result<Compared, Failure> {
    let calls = calls::read(folder)?;
    let templates = TEMPLATES.iter().map(|path| Template::read(path)).collect::<Result<Vec<_>, _>>()?;
    compare(&templates, &calls, &Reference::read(&venv()?)?)
}

fn say(line: &str) {
    // Where nobody can be told, the exit code still says it.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
