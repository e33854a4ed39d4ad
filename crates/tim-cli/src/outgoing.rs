//! What a hub sends to servers of the application, as the settings say it.

use std::path::Path;
use std::time::Duration;

use tim_hub::{CallbackCommand, CallbackOptions, Endpoint, PushOptions};
use tim_proto::Words;

use crate::config::Settings;
use crate::error::{Failure, reading};
use crate::push_sinks::PushSinks;

/// How users who are offline are notified, if they are.
///
/// # Errors
/// What is wrong with the settings.
pub(crate) fn push_options(settings: &Settings, sinks: &PushSinks) -> Result<Option<PushOptions>, Failure> {
    let Some(routes) = sinks.routes() else {
        return Ok(None);
    };
    let mut options = PushOptions::with_routes(routes);
    options.max_age = Duration::from_secs(settings.push_max_age.0);
    options.words = match settings.push_language.as_str() {
        "en" => Words::ENGLISH,
        "zh" => Words::SEED,
        other => {
            return Err(Failure::usage(format_args!(
                "--push-language {other}: there is en and zh"
            )));
        }
    };
    Ok(Some(options))
}

/// Which server of the application is asked about messages, and told of them, if one is.
///
/// # Errors
/// What is wrong with the settings.
pub(crate) fn callback_options(settings: &Settings) -> Result<Option<CallbackOptions>, Failure> {
    if settings.callback_url.is_empty() {
        return Ok(None);
    }
    let endpoint = endpoint(&settings.callback_url, &settings.callback_token_file)?;
    let mut options = CallbackOptions::new(endpoint);
    if !settings.callback_command.is_empty() {
        let commands = settings.callback_command.iter().map(|name| name.parse());
        let commands: Result<Vec<CallbackCommand>, String> = commands.collect();
        options.commands =
            commands.map_err(|error| Failure::usage(format_args!("--callback-command: {error}")))?;
    }
    options.refuse_without_answer = settings.callback_refuse;
    let checked = options.check();
    checked.map_err(|error| Failure::usage(format_args!("--callback-url: {error}")))?;
    Ok(Some(options))
}

/// An endpoint, whose token is in a file if there is one.
pub(crate) fn endpoint(url: &str, token_file: &Path) -> Result<Endpoint, Failure> {
    let mut endpoint = Endpoint::new(url);
    if !token_file.as_os_str().is_empty() {
        let read = std::fs::read_to_string(token_file);
        let token = read.map_err(reading(format_args!("the token {}", token_file.display())))?;
        token.trim().clone_into(&mut endpoint.token);
        if endpoint.token.is_empty() {
            return Err(Failure::usage(format_args!(
                "{}: there is no token in it",
                token_file.display()
            )));
        }
    }
    Ok(endpoint)
}
