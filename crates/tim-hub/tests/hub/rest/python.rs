//! The vendor's client for Python (`tencentcloud-sdk-python-im`), unchanged. `TIM_TEST_PYTHON` names an interpreter that has it.

use std::io::Write as _;
use std::process::Command;

use super::Rest;
use crate::support::{APP, Device, START_MS};

#[test]
fn all_its_methods_about_groups() {
    let Some(python) = std::env::var_os("TIM_TEST_PYTHON") else {
        let _ = writeln!(std::io::stdout(), "skipped: TIM_TEST_PYTHON names no interpreter");
        return;
    };
    let rest = Rest::start();
    rest.accounts(&["o", "m", "a"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub/rest/groups.py");
    let output = Command::new(python)
        .arg(script)
        .arg(rest.http.address.to_string())
        .args([(START_MS / 1000).to_string(), APP.to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // What a member has seen of it.
    assert_eq!(m.until_notice(7).group, "g");
    assert_eq!(m.until_notice(255).custom, "attention");
    assert_eq!(m.until_notice(5).operator, "admin");
    let tips: Vec<u32> = m.tips.iter().map(|tip| tip.operation).collect();
    assert_eq!(tips, [1, 6, 1, 4, 7, 7, 3, 6]);
}
