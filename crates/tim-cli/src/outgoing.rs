//! What a hub sends to servers of the application, as the settings say it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tim_hub::{
    CallbackCommand, CallbackOptions, Clock, Endpoint, PushLog, PushOptions, PushSink, PushWebhook,
};
use tim_proto::Words;

use crate::config::Settings;
use crate::error::{Failure, reading};

/// How users who are offline are notified, if they are.
///
/// # Errors
/// What is wrong with the settings.
pub(crate) fn push_options(settings: &Settings) -> Result<Option<PushOptions>, Failure> {
    let (log, url) = (&settings.push_log, &settings.push_webhook);
    let sink: Arc<dyn PushSink> = match (log.as_os_str().is_empty(), url.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => {
            return Err(Failure::usage("--push-log and --push-webhook exclude each other")
                .hint("a server at the URL of --push-webhook can write what it gets into a file"));
        }
        (false, true) => {
            let opened = PushLog::open(log);
            Arc::new(opened.map_err(|error| {
                Failure::usage(format_args!("--push-log {}: {error}", log.display()))
                    .hint("name a file that this user may write; its directory must exist")
            })?)
        }
        (true, false) => {
            let endpoint = endpoint(url, &settings.push_token_file)?;
            let opened = PushWebhook::new(endpoint, Clock::system());
            Arc::new(opened.map_err(|error| Failure::usage(format_args!("--push-webhook: {error}")))?)
        }
    };
    let mut options = PushOptions::new(sink);
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
fn endpoint(url: &str, token_file: &Path) -> Result<Endpoint, Failure> {
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
