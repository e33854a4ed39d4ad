//! Who takes notifications for users who are offline, as the settings say it.

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "apns")]
use tim_hub::{Apns, ApnsKey, ApnsOptions};
use tim_hub::{Clock, PushLog, PushRoutes, PushSink, PushWebhook};
#[cfg(feature = "web-push")]
use tim_hub::{VapidKey, WebPush, WebPushOptions};

#[cfg(any(feature = "apns", feature = "web-push"))]
use tim_proto::request::PushPlatform;
use tracing::warn;

use crate::config::Settings;
use crate::error::Failure;
use crate::outgoing::endpoint;

/// The sinks of a hub that runs.
#[derive(Debug, Default)]
pub(crate) struct PushSinks {
    others: Option<Others>,
    #[cfg(feature = "apns")]
    apns: Option<Arc<Apns>>,
    #[cfg(feature = "web-push")]
    web: Option<Arc<WebPush>>,
}

/// What takes everything that has no sink of its own.
#[derive(Debug)]
enum Others {
    Log(Arc<PushLog>),
    Webhook(Arc<PushWebhook>),
}

impl PushSinks {
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Failure> {
        #[cfg(not(feature = "apns"))]
        missing("--push-apns-key", &settings.push_apns_key, "apns")?;
        #[cfg(not(feature = "web-push"))]
        missing("--push-vapid-key", &settings.push_vapid_key, "web-push")?;
        Ok(Self {
            others: others(settings)?,
            #[cfg(feature = "apns")]
            apns: apns(settings)?,
            #[cfg(feature = "web-push")]
            web: web(settings)?,
        })
    }

    /// The table of the hub, if there is anything in it.
    pub(crate) fn routes(&self) -> Option<PushRoutes> {
        let mut routes = PushRoutes::new();
        let mut has_any = false;
        let others: Option<Arc<dyn PushSink>> = match &self.others {
            Some(Others::Log(log)) => Some(log.clone()),
            Some(Others::Webhook(webhook)) => Some(webhook.clone()),
            None => None,
        };
        if let Some(sink) = others {
            routes = routes.with_others(sink);
            has_any = true;
        }
        #[cfg(feature = "apns")]
        if let Some(apns) = &self.apns {
            routes = routes.with(PushPlatform::IOS, apns.clone());
            has_any = true;
        }
        #[cfg(feature = "web-push")]
        if let Some(web) = &self.web {
            routes = routes.with(PushPlatform::WEB, web.clone());
            has_any = true;
        }
        has_any.then_some(routes)
    }

    /// What applications in a browser subscribe with, if there is a sink for them.
    pub(crate) fn application_server_key(&self) -> Option<String> {
        #[cfg(feature = "web-push")]
        if let Some(web) = &self.web {
            return Some(web.application_server_key());
        }
        None
    }

    /// Opens the log anew: what keeps logs short may have renamed it.
    ///
    /// # Errors
    /// Why it cannot be opened. The hub writes to the old one.
    pub(crate) fn reopen_log(&self) -> io::Result<()> {
        match &self.others {
            Some(Others::Log(log)) => log.reopen(),
            _ => Ok(()),
        }
    }

    /// Reads the keys of the push services again. One that cannot be read is told of, and the old one stays in use; the others are new.
    pub(crate) fn reload(&self, settings: &Settings) {
        let kept = |failure: Failure| {
            warn!(%failure, "cannot reload the key or token of a push service; the old one stays in use");
        };
        #[cfg(feature = "apns")]
        if let Some(apns) = &self.apns {
            apns_key(settings).map_or_else(kept, |key| apns.set_key(key));
        }
        #[cfg(feature = "web-push")]
        if let Some(web) = &self.web {
            vapid_key(settings).map_or_else(kept, |key| web.set_key(key));
        }
        if let Some(Others::Webhook(webhook)) = &self.others {
            endpoint(&settings.push_webhook, &settings.push_token_file)
                .map_or_else(kept, |endpoint| webhook.set_token(&endpoint));
        }
    }
}

/// Settings with the keys of others, as far as those can be reloaded: where there was a sink at the start.
pub(crate) fn with_keys_of(settings: Settings, started: &Settings) -> Settings {
    let mut settings = settings;
    // Tokens are those of the URLs of the start.
    settings
        .callback_token_file
        .clone_from(&started.callback_token_file);
    settings.push_token_file.clone_from(&started.push_token_file);
    if !started.push_apns_key.as_os_str().is_empty() {
        settings.push_apns_key.clone_from(&started.push_apns_key);
        settings.push_apns_key_id.clone_from(&started.push_apns_key_id);
        settings.push_apns_team.clone_from(&started.push_apns_team);
    }
    if !started.push_vapid_key.as_os_str().is_empty() {
        settings.push_vapid_key.clone_from(&started.push_vapid_key);
        settings
            .push_vapid_subject
            .clone_from(&started.push_vapid_subject);
    }
    settings
}

fn others(settings: &Settings) -> Result<Option<Others>, Failure> {
    let (log, url) = (&settings.push_log, &settings.push_webhook);
    match (log.as_os_str().is_empty(), url.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Err(
            Failure::usage("--push-log and --push-webhook cannot be used together")
                .hint("a server at the URL of --push-webhook can write what it gets into a file"),
        ),
        (false, true) => {
            let opened = PushLog::open(log).map_err(|error| {
                Failure::usage(format_args!("--push-log {}: {error}", log.display()))
                    .hint("name a regular file that this user may read and write; its directory must exist")
            })?;
            Ok(Some(Others::Log(Arc::new(opened))))
        }
        (true, false) => {
            let endpoint = endpoint(url, &settings.push_token_file)?;
            let opened = PushWebhook::new(endpoint, Clock::system());
            let opened = opened.map_err(|error| Failure::usage(format_args!("--push-webhook: {error}")))?;
            Ok(Some(Others::Webhook(Arc::new(opened))))
        }
    }
}

#[cfg(feature = "apns")]
fn apns(settings: &Settings) -> Result<Option<Arc<Apns>>, Failure> {
    if settings.push_apns_key.as_os_str().is_empty() {
        return Ok(None);
    }
    if settings.push_apns_topic.is_empty() {
        return Err(Failure::usage("--push-apns-key needs --push-apns-topic")
            .hint("it is the bundle id of the application, such as com.example.chat"));
    }
    let mut options = ApnsOptions::new(apns_key(settings)?, &settings.push_apns_topic);
    options.url = match settings.push_apns_server.as_str() {
        "production" => Apns::PRODUCTION.to_owned(),
        "sandbox" => Apns::SANDBOX.to_owned(),
        url if url.contains("://") => url.to_owned(),
        other => {
            return Err(Failure::usage(format_args!(
                "--push-apns-server {other}: it is production, sandbox or a URL"
            )));
        }
    };
    let apns = Apns::new(options, Clock::system());
    let apns = apns.map_err(|error| Failure::usage(format_args!("offline push to Apple's: {error}")))?;
    Ok(Some(Arc::new(apns)))
}

#[cfg(feature = "apns")]
fn apns_key(settings: &Settings) -> Result<ApnsKey, Failure> {
    let file = &settings.push_apns_key;
    let (key, team) = (&settings.push_apns_key_id, &settings.push_apns_team);
    if key.is_empty() || team.is_empty() {
        return Err(
            Failure::usage("--push-apns-key needs --push-apns-key-id and --push-apns-team")
                .hint("the developer account shows both; the id of the key is also in the name of its file"),
        );
    }
    let read = ApnsKey::new(&key_file("--push-apns-key", file)?, key, team);
    read.map_err(|error| Failure::usage(format_args!("--push-apns-key {}: {error}", file.display())))
}

#[cfg(feature = "web-push")]
fn web(settings: &Settings) -> Result<Option<Arc<WebPush>>, Failure> {
    if settings.push_vapid_key.as_os_str().is_empty() {
        return Ok(None);
    }
    let mut options = WebPushOptions::new(vapid_key(settings)?);
    options.hosts.extend(settings.push_web_host.iter().cloned());
    let web = WebPush::new(options, Clock::system());
    let web = web.map_err(|error| Failure::usage(format_args!("offline push to browsers: {error}")))?;
    Ok(Some(Arc::new(web)))
}

#[cfg(feature = "web-push")]
fn vapid_key(settings: &Settings) -> Result<VapidKey, Failure> {
    let (file, subject) = (&settings.push_vapid_key, &settings.push_vapid_subject);
    if subject.is_empty() {
        return Err(Failure::usage("--push-vapid-key needs --push-vapid-subject")
            .hint("it is where a push service reaches the operator: mailto:ADDRESS or an https:// URL"));
    }
    let read = VapidKey::new(&key_file("--push-vapid-key", file)?, subject);
    read.map_err(|error| {
        Failure::usage(format_args!("--push-vapid-key {}: {error}", file.display()))
            .hint("`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out vapid.pem` makes one")
    })
}

#[cfg(any(feature = "apns", feature = "web-push"))]
fn key_file(flag: &str, file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format_args!("{flag} {}: {error}", file.display()))
            .hint("name a file that this user may read")
    })
}

#[cfg(not(all(feature = "apns", feature = "web-push")))]
fn missing(flag: &str, file: &Path, feature: &str) -> Result<(), Failure> {
    if file.as_os_str().is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "{flag}: this program was built without that push service"
    ))
    .hint(format_args!(
        "build it with the feature `{feature}`, which it has by default"
    )))
}
