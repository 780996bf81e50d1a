//! A function for the tests of this crate: it speaks Lambda's Runtime API and gives back what it gets.
//!
//! `{"fail": "text"}` is answered with an error, `{"exit": 3}` ends the process before any answer, `{"env": "NAME"}` gives a
//! variable. Started with `ECHO_EXIT` it ends after a moment, before its first poll.

use std::process::ExitCode;

use serde_json::{Value, json};
use ureq::Agent;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if let Some(reason) = variable("ECHO_EXIT") {
        std::thread::sleep(std::time::Duration::from_millis(300));
        return Err(reason.into());
    }
    let api = variable("AWS_LAMBDA_RUNTIME_API").ok_or("AWS_LAMBDA_RUNTIME_API is not set")?;
    let base = format!("{api}/2018-06-01/runtime/invocation");
    let agent = Agent::config_builder().proxy(None).build().new_agent();
    loop {
        let mut next = agent.get(format!("{base}/next")).call()?;
        if next.status() == 204 {
            continue;
        }
        let header = next.headers().get("lambda-runtime-aws-request-id").ok_or("no request id")?;
        let id = header.to_str()?.to_owned();
        let event: Value = serde_json::from_str(&next.body_mut().read_to_string()?)?;
        log(&event)?;
        if let Some(code) = event.get("exit").and_then(Value::as_u64) {
            return Ok(ExitCode::from(u8::try_from(code)?));
        }
        if let Some(message) = event.get("fail") {
            let body = json!({"errorType": "EchoError", "errorMessage": message});
            agent.post(format!("{base}/{id}/error")).send(body.to_string())?;
            continue;
        }
        let answer = match event.get("env").and_then(Value::as_str) {
            Some(name) => json!(variable(name)),
            None => event,
        };
        agent.post(format!("{base}/{id}/response")).send(answer.to_string())?;
    }
}

fn log(event: &Value) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "got {event}")?;
    writeln!(std::io::stderr(), "on standard error too")
}
