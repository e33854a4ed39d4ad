//! A hub whose clock the test sets, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tim_hub::usersig::App;
use tim_hub::{Clock, FileOptions, Hub, HubError, HubOptions};
use tim_store::faults::{self, Faults};
use tokio::sync::oneshot;

use super::{APP, DEADLINE, FileFaults, KEY, START_MS};

/// A hub whose clock the test sets.
pub(crate) struct TestHub {
    pub(crate) address: SocketAddr,
    pub(crate) clock_ms: Arc<AtomicU64>,
    steady_ms: Arc<AtomicU64>,
    pub(crate) data: Arc<tempfile::TempDir>,
    hub: Option<Arc<Hub>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), HubError>>>,
}

impl TestHub {
    pub(crate) fn start() -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), |_| ())
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut HubOptions)) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), change)
    }

    pub(crate) fn start_on(data: Arc<tempfile::TempDir>, change: impl FnOnce(&mut HubOptions)) -> Self {
        let directory = data.path().to_owned();
        Self::start_with_hub(data, change, |options| Hub::open(directory, options))
    }

    /// A hub whose store is slow or fails when the test says so.
    pub(crate) fn start_faulty() -> (Self, Faults) {
        Self::start_faulty_with(|_| ())
    }

    /// The same, with other options.
    pub(crate) fn start_faulty_with(change: impl FnOnce(&mut HubOptions)) -> (Self, Faults) {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let store = tim_store_sqlite::open(data.path()).unwrap();
        let (store, faults) = faults::wrap(store.into());
        let hub = Self::start_with_hub(data, change, |options| Hub::with_store(options, store));
        (hub, faults)
    }

    /// A hub whose files are written and read slowly, or not, when the test says so.
    pub(crate) fn start_with_slow_files() -> (Self, FileFaults) {
        let faults = FileFaults::default();
        let data = Arc::new(tempfile::tempdir().unwrap());
        let mut files = FileOptions::new(data.path().join("files")).unwrap();
        files.store.faults = faults.faults();
        let hub = Self::start_on(data, |options| options.files = Some(files));
        (hub, faults)
    }

    /// The operator changes settings.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut HubOptions)) {
        let mut options = HubOptions::new(App::new(APP, KEY));
        change(&mut options);
        self.hub.as_ref().unwrap().reload(&options).unwrap();
    }

    fn start_with_hub(
        data: Arc<tempfile::TempDir>,
        change: impl FnOnce(&mut HubOptions),
        open: impl FnOnce(HubOptions) -> Result<Hub, HubError>,
    ) -> Self {
        tim_testkit::deadline();
        let clock_ms = Arc::new(AtomicU64::new(START_MS));
        let mut options = HubOptions::new(App::new(APP, KEY));
        let clock = Arc::clone(&clock_ms);
        let steady_ms = Arc::new(AtomicU64::new(0));
        let steady = Arc::clone(&steady_ms);
        options.clock = Clock::new(
            move || clock.load(Ordering::SeqCst),
            move || steady.load(Ordering::SeqCst),
        );
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        options.limits = options.limits.with_group_messages_per_second(0);
        change(&mut options);
        let hub = Arc::new(open(options).unwrap());
        let serving = Arc::clone(&hub);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                serving
                    .serve(listener, async move { stopped.await.unwrap_or(()) })
                    .await
            })
        });
        let address = told.recv().unwrap();
        Self {
            address,
            clock_ms,
            steady_ms,
            data,
            hub: Some(hub),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What the application's own server tells the hub.
    pub(crate) fn tell<T>(&self, tell: impl AsyncFnOnce(&Hub) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(tell(self.hub.as_ref().unwrap()))
    }

    /// The hub, for another thread.
    pub(crate) fn shared(&self) -> Arc<Hub> {
        Arc::clone(self.hub.as_ref().unwrap())
    }

    /// The directory of its store.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Time passes.
    pub(crate) fn advance(&self, by: Duration) {
        self.steady_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        self.clock_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock ahead, or back again.
    pub(crate) fn set_clock(&self, ms: u64) {
        self.clock_ms.store(ms, Ordering::SeqCst);
    }

    /// Stops the hub and starts another one on the same data.
    pub(crate) fn restart(self) -> Self {
        self.restart_with(|_| ())
    }

    /// The same, with other options.
    pub(crate) fn restart_with(mut self, change: impl FnOnce(&mut HubOptions)) -> Self {
        let (data, now) = (Arc::clone(&self.data), self.clock_ms.load(Ordering::SeqCst));
        self.halt();
        let hub = Self::start_on(data, change);
        hub.clock_ms.store(now, Ordering::SeqCst);
        hub
    }

    /// Stops the hub and leaves its data.
    pub(crate) fn stop(mut self) -> Arc<tempfile::TempDir> {
        self.halt();
        Arc::clone(&self.data)
    }

    /// How it ends by itself.
    pub(crate) fn ended(mut self) -> Result<(), HubError> {
        let (thread, start) = (self.thread.take().unwrap(), Instant::now());
        while !thread.is_finished() {
            assert!(start.elapsed() < DEADLINE, "the hub goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
        thread.join().unwrap()
    }

    fn halt(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
        self.hub = None;
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.halt();
        }
    }
}
