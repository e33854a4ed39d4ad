//! Settings that have no effect without another one: whoever gives them alone has forgotten something.

use tim_transport_std::Address;

use crate::config::{PartialSettings, Settings};
use crate::error::Failure;
use crate::file_place::FilePlace;

/// # Errors
/// Which setting needs which other one.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    let defaults = Settings::from(PartialSettings::default());
    let is_given = |path: &std::path::Path| !path.as_os_str().is_empty();
    let has_callbacks = !settings.callback_url.is_empty();
    let has_webhook = !settings.push_webhook.is_empty();
    let (has_apns, has_web) = (
        is_given(&settings.push_apns_key),
        is_given(&settings.push_vapid_key),
    );
    let has_push = has_webhook || has_apns || has_web || is_given(&settings.push_log);
    let has_http = settings.http.0.is_some();
    let has_bucket = settings.files != FilePlace::Directory;
    let has_proxy = !settings.trusted_proxy.is_empty();
    let has_socket = settings
        .listen
        .iter()
        .any(|address| matches!(address.0, Address::Unix(_)));
    let callbacks = ("--callback-url", has_callbacks);
    let webhook = ("--push-webhook", has_webhook);
    let apns = ("--push-apns-key", has_apns);
    let web = ("--push-vapid-key", has_web);
    let push = (
        "--push-log, --push-webhook, --push-apns-key or --push-vapid-key",
        has_push,
    );
    let http = ("--http", has_http);
    let admin = ("--admin", !settings.admin.is_empty());
    let bucket = ("--files s3://BUCKET", has_bucket);
    let database = ("--store postgres://...", settings.store != defaults.store);
    let needs = [
        ("--store-shared", settings.store_shared, database),
        (
            "--callback-token-file",
            is_given(&settings.callback_token_file),
            callbacks,
        ),
        (
            "--callback-command",
            !settings.callback_command.is_empty(),
            callbacks,
        ),
        ("--callback-refuse", settings.callback_refuse, callbacks),
        ("--push-token-file", is_given(&settings.push_token_file), webhook),
        ("--push-apns-key-id", !settings.push_apns_key_id.is_empty(), apns),
        ("--push-apns-team", !settings.push_apns_team.is_empty(), apns),
        ("--push-apns-topic", !settings.push_apns_topic.is_empty(), apns),
        (
            "--push-apns-server",
            settings.push_apns_server != defaults.push_apns_server,
            apns,
        ),
        (
            "--push-vapid-subject",
            !settings.push_vapid_subject.is_empty(),
            web,
        ),
        ("--push-web-host", !settings.push_web_host.is_empty(), web),
        (
            "--push-max-age",
            settings.push_max_age != defaults.push_max_age,
            push,
        ),
        (
            "--push-language",
            settings.push_language != defaults.push_language,
            push,
        ),
        ("--http-url", !settings.http_url.is_empty(), http),
        (
            "--file-url-life",
            settings.file_url_life != defaults.file_url_life,
            http,
        ),
        ("--rest-rate", settings.rest_rate != defaults.rest_rate, admin),
        ("--files-endpoint", !settings.files_endpoint.is_empty(), bucket),
        ("--files-region", !settings.files_region.is_empty(), bucket),
        ("--files-bucket-in-host", settings.files_bucket_in_host, bucket),
        ("--files-allow-http", settings.files_allow_http, bucket),
        (
            "--files-credentials",
            is_given(&settings.files_credentials),
            bucket,
        ),
        (
            "--proxy-header",
            settings.proxy_header != defaults.proxy_header,
            ("--trusted-proxy", has_proxy),
        ),
        (
            "--socket-mode",
            settings.socket_mode != defaults.socket_mode,
            ("--listen unix:PATH", has_socket),
        ),
    ];
    let alone = needs.iter().find(|(_, is_set, (_, has))| *is_set && !has);
    match alone {
        Some((setting, _, (other, _))) => Err(Failure::usage(format_args!("{setting} needs {other}"))
            .hint("alone it has no effect; `tim serve --print-config` prints all settings")),
        None => Ok(()),
    }
}
