//! tim itself, measured by `tim-bench`, which also measures the disk alone.

use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::Result;
use crate::peer::Known;
use crate::server::{Process, version};
use crate::work::{Outcome, Work};

/// What `tim-bench` showed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ours {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) raw_group_bytes: f64,
    pub(crate) raw_group_syncs_per_second: f64,
    pub(crate) raw_single_syncs_per_second: f64,
}

/// Another tim as a peer.
pub(crate) fn known(tim: &Path) -> Result<Known> {
    if !tim.is_file() {
        return Err(format!("there is no program {}", tim.display()).into());
    }
    Ok(Known {
        version: format!("{} ({})", version(tim), tim.display()),
        is_durable: true,
        promise: "another tim, measured as tim is",
    })
}

/// Runs `tim serve` of this program.
pub(crate) async fn run(work: &Work, tim_bench: &Path, tim: &Path) -> Result<Ours> {
    let mut command = Command::new(tim_bench);
    command
        .args(["sends", "--json", "--tim"])
        .arg(tim)
        .args(["--senders", &work.senders.to_string()])
        .args(["--seconds", &work.seconds.to_string()])
        .args(["--payload", &work.payload.to_string()])
        .env_remove("TIM_DATA")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let process = Process::spawn(&mut command);
    let mut process = process.map_err(|error| format!("cannot run {}: {error}", tim_bench.display()))?;
    let child = &mut process.0;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut document, mut errors) = (Vec::new(), String::new());
    stdout
        .ok_or("it has no output")?
        .read_to_end(&mut document)
        .await?;
    stderr
        .ok_or("it has no error output")?
        .read_to_string(&mut errors)
        .await?;
    if !child.wait().await?.success() {
        return Err(format!("tim-bench: {}", errors.trim_end()).into());
    }
    read(&serde_json::from_slice(&document)?)
}

/// Reads the document of `tim-bench sends --json`.
fn read(document: &Value) -> Result<Ours> {
    let figures = &document["measurements"][0]["figures"];
    let maybe = |key: &str| figures[key]["value"].as_f64();
    let figure = |key: &str| maybe(key).ok_or_else(|| format!("tim-bench says nothing of {key}"));
    Ok(Ours {
        outcome: Outcome {
            sends_per_second: figure("sends_per_second")?,
            latency_p50_ms: figure("latency_p50_ms")?,
            latency_p99_ms: figure("latency_p99_ms")?,
            latency_p999_ms: figure("latency_p999_ms")?,
            latency_max_ms: figure("latency_max_ms")?,
            checked: figure("checked")? as u64,
            server_cpu_us_per_message: maybe("hub_cpu_us_per_message"),
            written_bytes_per_message: maybe("written_bytes_per_message"),
            disk_written_bytes_per_message: maybe("disk_written_bytes_per_message"),
            disk_flushes_per_message: maybe("disk_flushes_per_message"),
        },
        raw_group_bytes: figure("raw_group_bytes")?,
        raw_group_syncs_per_second: figure("raw_group_syncs_per_second")?,
        raw_single_syncs_per_second: figure("raw_single_syncs_per_second")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_no_peer() {
        let error = known(Path::new("/nonexistent/tim")).err().expect("an error");
        assert_eq!(error.to_string(), "there is no program /nonexistent/tim");
    }

    #[test]
    fn a_document_without_a_figure_is_an_error_that_names_it() {
        let error = read(&serde_json::json!({ "measurements": [] })).expect_err("nothing is in it");
        assert_eq!(error.to_string(), "tim-bench says nothing of sends_per_second");
    }
}
