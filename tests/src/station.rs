//! A Trạm in the real runtime: `wrangler dev` on the built Worker, with its own
//! port, state and variables, so that many run side by side.

use crate::{
    client::{Answer, Client},
    memory,
    project::{self, Surroundings, Worker},
    wait::{PATIENCE, wait_until},
    watchdog::Watchdog,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Deref,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// The management token of every station that is not given another.
pub const ADMIN_TOKEN: &str = "token-of-the-black-box-tests-0123456789";

/// A header that leads a request to the second isolate of a station with
/// [`two_isolates`](Builder::two_isolates).
pub const ELSEWHERE: (&str, &str) = ("host", project::TWIN_HOST);

/// What wrangler says when somebody else was faster with the port.
const PORT_TAKEN: &str = "Address already in use";

/// What wrangler says when it listens.
const READY: &str = "Ready on ";

/// How a station differs from the usual one.
#[derive(Debug)]
pub struct Builder {
    variables: BTreeMap<String, String>,
    surroundings: Surroundings,
}

impl Builder {
    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves a variable unset that is usually set.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Leaves the KV namespace out.
    #[must_use]
    pub fn without_kv(mut self) -> Self {
        self.surroundings.kv = project::Kv::Absent;
        self
    }

    /// Lets [`FakeKv`](crate::FakeKv) stand in for the KV namespace.
    #[must_use]
    pub fn kv_at(mut self, kv: &crate::FakeKv) -> Self {
        self.surroundings.kv = project::Kv::At(kv.url());
        self
    }

    /// Runs the Worker twice, in two isolates that share nothing but the objects and
    /// KV, as two places of the edge do. Requests reach the second with
    /// [`ELSEWHERE`] among their headers.
    #[must_use]
    pub fn two_isolates(mut self) -> Self {
        self.surroundings.twin = true;
        self
    }

    /// Has the objects write to the log what they are called for: [`Station::calls`].
    #[must_use]
    pub const fn counting(mut self) -> Self {
        self.surroundings.counted = true;
        self
    }

    /// Lets [`Fate`](crate::Fate) say what becomes of calls to Mailboxes.
    #[must_use]
    pub fn fated(mut self, fate: &crate::Fate) -> Self {
        self.surroundings.fate = Some(fate.url());
        self
    }

    /// Lets Mailboxes make so many requests in one call, as the platform does.
    #[must_use]
    pub const fn most_requests(mut self, most: u32) -> Self {
        self.surroundings.most_requests = Some(most);
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not: with everything that it said.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Station {
        // Between finding a free port and using it, another station may take it.
        for _ in 0..3 {
            let station = match Station::prepare(&self) {
                Ok(station) => station,
                Err(why) => panic!("the station cannot be started: {why}"),
            };
            match station.run() {
                Ok(()) => return station,
                Err(log) => assert!(
                    log.contains(PORT_TAKEN),
                    "the station did not come up:\n{log}"
                ),
            }
        }
        panic!("no port stayed free long enough");
    }
}

/// A running Trạm; killed, and its state removed, when it is dropped.
pub struct Station {
    address: SocketAddr,
    folder: PathBuf,
    configurations: Vec<PathBuf>,
    variables: BTreeMap<String, String>,
    surroundings: Surroundings,
    running: Mutex<Running>,
}

struct Running {
    /// `None` after [`Station::kill`].
    wrangler: Option<Child>,
    watchdog: Watchdog,
}

impl Station {
    /// One of its own, with `ADMIN_TOKEN` and `ALLOW_PRIVATE_DESTINATIONS=true`.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// One that differs.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            variables: [
                ("ADMIN_TOKEN", ADMIN_TOKEN),
                ("ALLOW_PRIVATE_DESTINATIONS", "true"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            surroundings: Surroundings::default(),
        }
    }

    /// The Worker that runs the core's SQL suite in an object, in a station's stead.
    /// It takes no variables.
    #[must_use]
    pub fn sql_suite() -> Builder {
        Builder {
            variables: BTreeMap::new(),
            surroundings: Surroundings {
                worker: Worker::SqlSuite,
                ..Surroundings::default()
            },
        }
    }

    /// The one that the tests of this binary share. Make a webhook of your own, and
    /// do not count what others may add to.
    #[must_use]
    #[track_caller]
    pub fn shared() -> Shared {
        static SHARED: OnceLock<Station> = OnceLock::new();
        Shared(SHARED.get_or_init(Self::start))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` and this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client to it.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A POST to it.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.client().post(path, headers, body)
    }

    /// The (first) management token that it takes; empty when it takes none.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.variables
            .get("ADMIN_TOKEN")
            .and_then(|tokens| tokens.split(',').next())
            .unwrap_or_default()
    }

    /// Everything that wrangler and the Worker have said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// The lines of the log that the Worker has written, apart from wrangler's own.
    ///
    /// # Panics
    /// When one that looks like the Worker's is not JSON.
    #[must_use]
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        // The last may not be written to its end.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|why| panic!("no JSON ({why}): {line}"))
            })
            .collect()
    }

    /// How often the objects of this name were called so far, and how many rows they
    /// have written, of a station that is [`counting`](Builder::counting).
    #[must_use]
    #[track_caller]
    pub fn calls(&self, name: &str) -> (u64, u64) {
        let mut lines = self.lines();
        lines.retain(|line| line["log"] == "object" && line["name"] == name);
        let rows = lines.iter().filter_map(|line| line["rows"].as_u64()).sum();
        (lines.len().try_into().unwrap_or(u64::MAX), rows)
    }

    /// The most memory that the runtime has held so far, in bytes, as Linux counts it.
    ///
    /// # Panics
    /// When it does not run, or there is no `/proc` to read it from.
    #[must_use]
    #[track_caller]
    pub fn peak_memory(&self) -> u64 {
        let group = self.running().wrangler.as_ref().map(Child::id);
        let group = group.expect("a station that runs");
        memory::peak_of("workerd", group).expect("a runtime whose memory can be read")
    }

    /// Where its state lies: KV and Durable Objects.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The power fails: SIGKILL to wrangler and the runtime, at once. What is
    /// durable stays.
    ///
    /// # Panics
    /// When the port is not free soon after.
    pub fn kill(&self) {
        let mut running = self.running();
        let Some(mut wrangler) = running.wrangler.take() else {
            return;
        };
        kill_group(&wrangler);
        let _ = wrangler.wait();
        let _ = running.watchdog.guard(None);
        drop(running);
        wait_until("the killed station's port to be free", PATIENCE, || {
            TcpListener::bind(self.address).ok()
        });
    }

    /// Sets a variable, or leaves it unset, from the next start on.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    pub fn set_variable(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value.to_owned()),
            None => self.variables.remove(name),
        };
        // wrangler watches it: nothing may change under a running one.
        self.kill();
        self.configurations = project::lay_out(&self.folder, &self.variables, &self.surroundings)
            .expect("the configuration can be written again");
    }

    /// Kills it if it runs, and starts it again on the same state and port.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        if let Err(log) = self.run() {
            panic!("the station did not come up again:\n{log}");
        }
    }

    /// The Cron Trigger fires: the hourly round is made.
    ///
    /// # Panics
    /// When the Worker fails at it.
    #[track_caller]
    pub fn make_round(&self) {
        let path = "/cdn-cgi/local/scheduled?cron=0+*+*+*+*&format=json";
        let answer = self.client().send("GET", path, &[], &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["outcome"], "ok", "{}", answer.text());
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Lays out a folder: the Worker and its configuration, the state apart from
    /// them, since wrangler watches the one and writes to the other.
    fn prepare(builder: &Builder) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("tram-tests-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let watchdog = Watchdog::of(&folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let configurations = project::lay_out(&folder, &builder.variables, &builder.surroundings)?;
        Ok(Self {
            address: port,
            folder,
            configurations,
            variables: builder.variables.clone(),
            surroundings: builder.surroundings.clone(),
            running: Mutex::new(Running {
                wrangler: None,
                watchdog,
            }),
        })
    }

    /// Starts wrangler and waits for the first answer; `Err` is the log.
    fn run(&self) -> Result<(), String> {
        let fail = |why: io::Error| format!("{why}\n{}", self.log());
        let before = self.log().len();
        let wrangler = self.spawn().map_err(fail)?;
        {
            let mut running = self.running();
            running.watchdog.guard(Some(wrangler.id())).map_err(fail)?;
            running.wrangler = Some(wrangler);
        }
        for _ in 0..1_200 {
            if self.has_ended() {
                return Err(self.log());
            }
            // An answer alone may be that of another who has taken the port.
            let log = self.log();
            let is_ready = log.get(before..).is_some_and(|log| log.contains(READY));
            if is_ready && self.client().try_send("GET", "/", &[], &[]).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.kill();
        Err(format!("no answer in time\n{}", self.log()))
    }

    fn spawn(&self) -> io::Result<Child> {
        let (node, wrangler) = (project::node(), project::wrangler());
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = Command::new(&node);
        command.arg(wrangler).arg("dev");
        for configuration in &self.configurations {
            command.arg("--config").arg(configuration);
        }
        command
            .args(["--ip", "127.0.0.1", "--port"])
            .arg(self.address.port().to_string())
            .args(["--inspector-port", "0", "--persist-to"])
            .arg(self.state())
            .arg("--show-interactive-dev-session=false");
        command
            .current_dir(&self.folder)
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_WRITE_LOGS", "false")
            // The stations of one machine need not know of each other.
            .env("WRANGLER_REGISTRY_PATH", self.folder.join("registry"))
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // wrangler, its children and the runtime: one group, killed as one.
            .process_group(0)
            .spawn()
            .map_err(|why| project::advise(&node, &why, "install the tools first: npm install"))
    }

    pub(crate) fn is_off(&self) -> bool {
        self.running().wrangler.is_none()
    }

    fn has_ended(&self) -> bool {
        self.running()
            .wrangler
            .as_mut()
            .is_none_or(|wrangler| !matches!(wrangler.try_wait(), Ok(None)))
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        if thread::panicking() {
            print_log(self);
        }
        if let Some(mut wrangler) = self.running().wrangler.take() {
            kill_group(&wrangler);
            let _ = wrangler.wait();
        }
    }
}

/// The shared station; prints the station's log when the test that holds it fails.
pub struct Shared(&'static Station);

impl Deref for Shared {
    type Target = Station;

    fn deref(&self) -> &Station {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if thread::panicking() {
            print_log(self.0);
        }
    }
}

fn print_log(station: &Station) {
    let log = station.log();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.len().saturating_sub(200);
    eprintln!("── the station's log ──\n{}", lines[tail..].join("\n"));
}

fn kill_group(leader: &Child) {
    let group = i32::try_from(leader.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // Gone already is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
