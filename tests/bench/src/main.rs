//! `make bench`: what the functions cost, at which size, beside their budgets (docs/budgets.md). Real release binaries run
//! against an AWS in memory; sizes, counts and ratios gate, seconds are only printed.

mod clock;
mod cloud;
mod failure;
mod figures;
mod fleet;
mod functions;
mod gates;
mod http;
mod lab;
mod print;
mod process;
mod runtime_api;
mod scale;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{Failure, io};
use crate::gates::Gates;
use crate::lab::Lab;

/// A Region's default quota of target groups is 3,000 (`load-balancer-limits`).
const SIZES: [usize; 3] = [100, 1000, 3000];

fn main() -> ExitCode {
    match measure(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            let _ = writeln!(std::io::stderr().lock(), "\nNothing was measured: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: impl Iterator<Item = String>) -> Result<bool, Failure> {
    let (sizes, packages) = read(arguments)?;
    let lab = Lab::new(&packages)?;
    let mut gates = Gates::default();
    functions::run(&lab, &found("functions")?, &mut gates)?;
    scale::run(&lab, &sizes, &mut gates)?;
    Ok(gates.verdict())
}

/// The sizes of fleets, in rising order, and where the packages are.
fn read(mut arguments: impl Iterator<Item = String>) -> Result<(Vec<usize>, PathBuf), Failure> {
    let (mut sizes, mut packages) = (SIZES.to_vec(), PathBuf::from("target/bench"));
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| Failure::Usage(format!("{name} needs a value")))?;
        match name.as_str() {
            "--sizes" => {
                let read = value.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
                sizes = read.map_err(|error| Failure::Usage(format!("{value}: {error}")))?;
                sizes.sort_unstable();
            }
            "--packages" => packages = value.into(),
            _ => return Err(Failure::Usage(format!("{name} is no argument"))),
        }
    }
    Ok((sizes, packages))
}

/// The functions of this checkout: one that is built later is measured from then on.
fn found(folder: &str) -> Result<Vec<String>, Failure> {
    let entries =
        std::fs::read_dir(folder).map_err(io(format!("read {folder}: run this from the repository's root")))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_nonsense_is_refused() {
        let read = |text: &str| read(text.split_whitespace().map(str::to_owned));
        assert_eq!(read("").unwrap(), (SIZES.to_vec(), PathBuf::from("target/bench")));
        assert_eq!(read("--sizes 1000,100 --packages p").unwrap(), (vec![100, 1000], PathBuf::from("p")));
        for wrong in ["--sizes", "--sizes many", "--fast yes"] {
            assert!(matches!(read(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
