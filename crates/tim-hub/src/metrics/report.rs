//! All metrics as a page, and whether the hub is ready.

use std::sync::atomic::Ordering;

use super::process::Process;
use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::{Page, Unit};
use super::{Class, Drop, Metrics, SENDS, SessionEnd, known_kinds};
use crate::pool::Pool;
use crate::service::Services;

/// The metrics of a hub. Reads from the disk.
pub(crate) fn report(services: &Services) -> String {
    let mut page = Page::default();
    page.begin("tim_build_info", Gauge, "The version of the hub; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one(
        "tim_ready",
        Gauge,
        "Whether the hub is ready, as /readyz says.",
        u8::from(not_ready(services).is_none()),
    );
    connections(&mut page, services);
    requests(&mut page, &services.metrics);
    deliveries(&mut page, services);
    push(&mut page, services);
    #[cfg(feature = "outgoing")]
    callbacks(&mut page, services);
    queues(&mut page, services);
    store(&mut page, services);
    retention(&mut page, services);
    process(&mut page);
    page.into_text()
}

fn connections(page: &mut Page, services: &Services) {
    let (metrics, events) = (&services.metrics, &services.events);
    let occupied = services.places.occupied();
    let http = metrics.http_connections.load(Ordering::Relaxed);
    page.begin(
        "tim_connections",
        Gauge,
        "Connections now, by state: logged in, not yet, serial ports, HTTP.",
    )
    .sample(&[("state", "established")], occupied.established)
    .sample(&[("state", "half_open")], occupied.half_open)
    .sample(&[("state", "serial")], occupied.serial)
    .sample(&[("state", "http")], http);
    page.one(
        "tim_connections_max",
        Gauge,
        "The most connections that may be logged in.",
        services.options.max_connections,
    );
    page.one(
        "tim_connections_turned_away_total",
        Counter,
        "Connections for which there was no capacity.",
        events.turned_away.total(),
    );
    page.one(
        "tim_half_open_dropped_total",
        Counter,
        "Connections without a login that were dropped for newer ones.",
        services.places.dropped(),
    );
    page.one(
        "tim_protocol_violations_total",
        Counter,
        "Connections that ended because the client broke the protocol.",
        events.protocol_violations.total(),
    );
    page.begin(
        "tim_logins_total",
        Counter,
        "Logins, by result: ok, or the class of the refusal.",
    )
    .sample(&[("result", "ok")], metrics.logins.get());
    for (class, counter) in Class::ALL.iter().zip(&metrics.refused_logins) {
        page.sample(&[("result", class.text())], counter.get());
    }
    page.begin(
        "tim_sessions_ended_total",
        Counter,
        "Sessions that ended, by reason.",
    );
    for (end, counter) in SessionEnd::ALL.iter().zip(&metrics.ends) {
        page.sample(&[("reason", end.text())], counter.get());
    }
    page.one(
        "tim_foreign_cursors_total",
        Counter,
        "Devices with a cursor that this store did not give out, as after a backup was restored.",
        events.foreign_cursors.total(),
    );
}

fn requests(page: &mut Page, metrics: &Metrics) {
    let help = "Time from when a request came until it was answered, by kind; kinds that nobody has asked for are left out.";
    page.begin("tim_request_duration_seconds", Histogram, help);
    let names = known_kinds().map(|kind| kind.to_string().to_lowercase());
    let names = std::iter::once("other".to_owned()).chain(names);
    for (name, histogram) in names.zip(&metrics.requests_us) {
        let found = histogram.distribution();
        if found.count > 0 {
            page.distribution(&[("kind", &name)], &found, Unit::Micros);
        }
    }
    page.begin(
        "tim_refusals_total",
        Counter,
        "Requests that were refused, by class.",
    );
    for (class, counter) in Class::ALL.iter().zip(&metrics.refusals) {
        page.sample(&[("class", class.text())], counter.get());
    }
    page.begin(
        "tim_sends_total",
        Counter,
        "Messages that were sent, by result: ok, refused, or failed in the hub.",
    );
    for (result, counter) in SENDS.iter().zip(&metrics.sends) {
        page.sample(&[("result", result)], counter.get());
    }
}

fn deliveries(page: &mut Page, services: &Services) {
    let (metrics, events) = (&services.metrics, &services.events);
    page.one(
        "tim_deliveries_total",
        Counter,
        "Messages that were handed to the connection of a device.",
        metrics.deliveries.get(),
    );
    page.begin(
        "tim_drops_total",
        Counter,
        "Messages that are not stored and did not get through, by reason.",
    );
    for (why, counter) in Drop::ALL.iter().zip(&metrics.drops) {
        let dropped = match why {
            Drop::SlowDevice => services.presence.dropped() + counter.get(),
            _ => counter.get(),
        };
        page.sample(&[("reason", why.text())], dropped);
    }
    page.one(
        "tim_devices_shed_total",
        Counter,
        "Devices whose waiting deliveries were given up, to be read from the store later.",
        events.shed.total(),
    );
    page.one(
        "tim_backlog_bytes",
        Gauge,
        "Bytes of memory that wait for clients, or came from them and wait.",
        services.backlog.total(),
    );
    page.one(
        "tim_backlog_max_bytes",
        Gauge,
        "The most such bytes; 0 is no limit.",
        services.options.max_backlog,
    );
}

fn push(page: &mut Page, services: &Services) {
    let push = services.push.stats();
    page.one(
        "tim_push_users",
        Gauge,
        "Users with tokens of push services.",
        push.users,
    );
    page.one(
        "tim_push_waiting",
        Gauge,
        "Users of whom it is to be looked up whether they are to be notified.",
        push.waiting,
    );
    let sinks = services.push.by_name();
    let total = page.begin(
        "tim_push_total",
        Counter,
        "Notifications, by sink and result: sent, failed for now, refused, given up; and messages of which nobody was notified.",
    );
    for (sink, (push, _)) in &sinks {
        let results = [
            ("sent", push.sent),
            ("failed", push.failed),
            ("refused", push.refused),
            ("given_up", push.given_up),
            ("too_old", push.too_old),
            ("suppressed", push.suppressed),
        ];
        for (result, count) in results {
            total.sample(&[("sink", sink), ("result", result)], count);
        }
    }
    let down = page.begin(
        "tim_push_down",
        Gauge,
        "1 while a sink is down: it has failed for many users in a row.",
    );
    for (sink, (_, count)) in &sinks {
        down.sample(&[("sink", sink)], *count);
    }
}

#[cfg(feature = "outgoing")]
fn callbacks(page: &mut Page, services: &Services) {
    let callbacks = services.callbacks.stats();
    page.one(
        "tim_callbacks_waiting",
        Gauge,
        "Events that the application is still to be told of.",
        callbacks.waiting,
    );
    page.one(
        "tim_callbacks_open",
        Gauge,
        "Whether the endpoint of callbacks is left alone, as it has failed too often.",
        u8::from(callbacks.is_open),
    );
    page.begin(
        "tim_callbacks_total",
        Counter,
        "Callbacks, by result: answered, failed, skipped or dropped as the endpoint fails or too many wait.",
    )
    .sample(&[("result", "answered")], callbacks.answered)
    .sample(&[("result", "failed")], callbacks.failed)
    .sample(&[("result", "skipped")], callbacks.skipped)
    .sample(&[("result", "dropped")], callbacks.dropped);
}

fn queues(page: &mut Page, services: &Services) {
    let [disk, rendering, small] = services.files.pools();
    let reads = services.reads.pool();
    let pools = [
        ("read", reads),
        ("file", disk),
        ("picture", rendering),
        ("small_picture", small),
    ];
    page.begin("tim_queue_length", Gauge, "What waits in each queue.")
        .sample(&[("queue", "writer")], services.writer.stats().waiting)
        .sample(&[("queue", "fan_out")], services.fanout.waiting())
        .sample(&[("queue", "live")], services.live.waiting());
    for (name, pool) in pools {
        page.sample(&[("queue", name)], pool.waiting());
    }
    page.begin(
        "tim_pool_threads_busy",
        Gauge,
        "Threads of each pool that are at work.",
    );
    for (name, pool) in pools {
        page.sample(&[("pool", name)], Pool::busy(pool));
    }
    page.one(
        "tim_uploads_waiting",
        Gauge,
        "Uploads of which something waits to be written.",
        services.files.lanes(),
    );
}

fn store(page: &mut Page, services: &Services) {
    let (writer, store) = (services.writer.stats(), services.reads.store().stats());
    page.begin(
        "tim_store_writes_total",
        Counter,
        "Writes, by result: stored, refused by the rules, failed, or refused as the queue was full.",
    )
    .sample(&[("result", "ok")], writer.written)
    .sample(&[("result", "refused")], writer.refused)
    .sample(&[("result", "failed")], writer.failed)
    .sample(&[("result", "overloaded")], writer.overloaded);
    page.begin(
        "tim_store_batch_size",
        Histogram,
        "Writes that were made durable together.",
    )
    .distribution(&[], &writer.batches, Unit::One);
    page.begin(
        "tim_store_commit_duration_seconds",
        Histogram,
        "Time that a batch took until it was durable.",
    )
    .distribution(&[], &writer.commits_us, Unit::Micros);
    page.begin(
        "tim_store_sync_duration_seconds",
        Histogram,
        "Time of each sync of the log in front of the database.",
    )
    .distribution(&[], &store.syncs_us, Unit::Micros);
    page.one(
        "tim_store_generations_total",
        Counter,
        "How often the log in front of the database was moved into it.",
        store.generations,
    );
    page.one(
        "tim_store_failing",
        Gauge,
        "Whether the last batch could not be stored.",
        u8::from(writer.failing.is_some()),
    );
    page.begin(
        "tim_store_bytes",
        Gauge,
        "Sizes of the store's files: the database, its write-ahead log, and the log in front of it.",
    )
    .sample(&[("file", "database")], store.database_bytes)
    .sample(&[("file", "wal")], store.engine_log_bytes)
    .sample(&[("file", "log")], store.log_bytes);
    page.one(
        "tim_files",
        Gauge,
        "Files that users have uploaded and that are kept; counted once a minute.",
        store.files,
    );
    page.one(
        "tim_files_bytes",
        Gauge,
        "Their bytes, renditions of pictures included.",
        store.file_bytes,
    );
}

fn retention(page: &mut Page, services: &Services) {
    let counts = &services.metrics.retention;
    page.one(
        "tim_retention_rounds_total",
        Counter,
        "Rounds of retention that have ended.",
        counts.rounds.get(),
    );
    let since = services
        .metrics
        .seconds()
        .saturating_sub(counts.last_s.load(Ordering::Relaxed));
    page.one(
        "tim_retention_last_round_age_seconds",
        Gauge,
        "Time since the last round ended, or since the start.",
        since,
    );
    page.begin(
        "tim_retention_removed_total",
        Counter,
        "What retention has removed.",
    )
    .sample(&[("what", "entries")], counts.entries.get())
    .sample(&[("what", "message_ids")], counts.ids.get())
    .sample(&[("what", "accounts")], counts.accounts.get());
}

fn process(page: &mut Page) {
    let found = Process::look();
    let mut gauge = |name, help: &str, value: Option<u64>| {
        if let Some(value) = value {
            page.one(name, Gauge, help, value);
        }
    };
    gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        found.resident_bytes,
    );
    gauge(
        "process_virtual_memory_bytes",
        "Virtual memory.",
        found.virtual_bytes,
    );
    gauge("process_open_fds", "Open file descriptors.", found.open_fds);
    gauge(
        "process_max_fds",
        "The limit of open file descriptors.",
        found.max_fds,
    );
    gauge("process_threads", "Threads.", found.threads);
    gauge(
        "process_start_time_seconds",
        "When the process was started, Unix time.",
        found.started_s,
    );
    if let Some(ticks) = found.cpu_ticks {
        let seconds = format!("{}.{:02}", ticks / 100, ticks % 100);
        page.one(
            "process_cpu_seconds_total",
            Counter,
            "Time on processors.",
            seconds,
        );
    }
}

/// Why the hub should be sent no traffic now; `None` if it is ready. May wait for the disk.
pub(crate) fn not_ready(services: &Services) -> Option<&'static str> {
    let status = &services.status;
    if status.stopping.is_set() {
        return Some("stopping");
    }
    if status.failed.borrow().is_some() || services.writer.is_stopped() {
        return Some("the store has failed");
    }
    if let Some(reason) = store_not_ready(services) {
        return Some(reason);
    }
    if !services.files.is_writable(services.steady_ms()) {
        return Some("the data directory cannot be written, as on a full disk");
    }
    None
}

/// Why the store cannot be written to now, if it cannot.
fn store_not_ready(services: &Services) -> Option<&'static str> {
    let is_failing = services.writer.stats().failing.is_some();
    match services.reads.store().check() {
        None if is_failing => Some("the store cannot be written, as on a full disk"),
        Some(Err(_)) => Some("the database cannot be written, or does not answer"),
        Some(Ok(())) if is_failing => {
            services.write_nothing();
            Some("the database could not be written a moment ago")
        }
        _ => None,
    }
}
