//! `make mutations`: breaks what decides in every way of the catalogue and prints which test noticed. Words on the command line
//! choose mutations by their name or by the file that they break. Fails where one survives, no longer applies or does not compile.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mutations::catalogue::{self, Mutation};
use mutations::tree::Tree;
use mutations::{Failure, Verdict, baseline, try_out};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("The mutations could not be tried: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<bool, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let chosen: Vec<&Mutation> = catalogue::all()
        .into_iter()
        .filter(|m| words.is_empty() || words.iter().any(|word| m.name.contains(word) || m.file.contains(word)))
        .collect();
    let tree = Tree::of(&root, &target.join("mutations"))?;
    say(&format!(
        "{} mutations; first the sources as they are (the first time, all that they need is built)",
        chosen.len()
    ));
    baseline(&tree, &chosen)?;
    let mut caught = 0;
    for mutation in &chosen {
        let verdict = try_out(&tree, mutation)?;
        caught += usize::from(verdict.is_caught());
        say(&format!("\n{:<9}{}: {}", word(&verdict), mutation.name, mutation.breaks));
        for line in particulars(&verdict) {
            say(&format!("         {line}"));
        }
    }
    say(&format!("\n{caught} of {} mutations were caught.", chosen.len()));
    Ok(caught == chosen.len() && caught > 0)
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Caught(_) => "caught",
        Verdict::Survived(_) => "SURVIVED",
        Verdict::DoesNotApply(_) | Verdict::DoesNotCompile(_) => "STALE",
        Verdict::Hung => "HUNG",
    }
}

fn particulars(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Caught(tests) => tests.iter().map(|test| format!("by {test}")).collect(),
        Verdict::Survived(tests) => {
            tests.iter().map(|test| format!("{test} passed although the code was broken")).collect()
        }
        Verdict::DoesNotApply(found) => vec![format!("the text that it replaces is there {found} times: say it anew")],
        Verdict::DoesNotCompile(why) => vec![format!("it does not compile: {why}")],
        Verdict::Hung => vec!["the tests did not end".to_owned()],
    }
}

fn say(line: &str) {
    // Where nobody can be told, the exit code still says it.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
