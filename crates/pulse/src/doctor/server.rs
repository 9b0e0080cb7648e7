//! The server that the other commands talk to.

use pulse_core::ports::survey::Finding;
use serde_json::Value;

use crate::cli::Server;
use crate::client::Api;

/// Whether it answers, its version, and how it stands with its stores and loops.
pub async fn look(server: &Server) -> Vec<Finding> {
    let api = match Api::new(server) {
        Ok(api) => api,
        Err(error) => return vec![Finding::ill(format!("{error:#}"), "set PULSE_TOKEN anew")],
    };
    match api.get(&["health"], &[]).await {
        Ok(health) => vec![tell(&api.name, &health)],
        Err(error) => vec![Finding::odd(
            error.to_string(),
            "nothing, if no server is meant to run here; else start one or set PULSE_URL",
        )],
    }
}

fn tell(name: &str, health: &Value) -> Finding {
    let text = |field: &str| health[field].as_str().unwrap_or("unknown").to_owned();
    let ours = env!("CARGO_PKG_VERSION");
    let says = format!(
        "{name} is a {} of version {} and says {}",
        text("role"),
        text("version"),
        text("status")
    );
    if text("status") != "ok" {
        return Finding::odd(says, format!("see {name}/health for which part"));
    }
    if text("version") != ours {
        return Finding::odd(says, format!("this command is {ours}: use one version for both"));
    }
    Finding::well(says)
}

#[cfg(test)]
mod tests {
    use pulse_core::ports::survey::Standing;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_that_is_degraded_or_of_another_version_is_odd() {
        let ours = env!("CARGO_PKG_VERSION");
        let standing = |status: &str, version: &str| {
            tell("x", &json!({"role": "server", "status": status, "version": version})).standing
        };

        assert_eq!(standing("ok", ours), Standing::Well);
        assert_eq!(standing("degraded", ours), Standing::Odd);
        assert_eq!(standing("ok", "9.9.9"), Standing::Odd);
        assert_eq!(tell("x", &json!([])).standing, Standing::Odd);
    }
}
