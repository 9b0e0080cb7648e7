//! The processes of one lab, servers and workers or all in one: started, killed, restarted, and
//! ended with it.
//!
//! They are the very programs that users run, configured by environment alone. Each keeps its port
//! over a restart, writes its log to a file, and counts as started when `GET /ready` says so.

use std::env;
use std::fmt::{self, Write};
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::client::Api;
use crate::clock::{self, eventually};
use crate::process;

/// How long a process may take until it is ready; the first server also migrates three stores.
const READY_WITHIN: Duration = Duration::from_mins(1);
const TAIL_LINES: usize = 15;

/// What every process is told besides its port and the stores.
const SETTINGS: [(&str, &str); 2] = [("HOST", "127.0.0.1"), ("LOG_FORMAT", "json")];

/// Which of the programs a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, on stores of its own.
    Whole,
    /// API and scheduler.
    Server,
    /// Prober, recorder, alerter and shipper.
    Worker,
}

impl Role {
    fn program(self) -> &'static str {
        match self {
            Self::Whole => "pulse",
            Self::Server => "pulse-server",
            Self::Worker => "pulse-worker",
        }
    }

    fn port_setting(self) -> &'static str {
        match self {
            Self::Whole | Self::Server => "PORT",
            Self::Worker => "WORKER_PORT",
        }
    }

    fn has_api(self) -> bool {
        self != Self::Worker
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "pulse",
            Self::Server => "server",
            Self::Worker => "worker",
        })
    }
}

/// All processes of Pulse in one lab.
#[derive(Debug)]
pub struct Fleet {
    directory: PathBuf,
    stores: Vec<(String, String)>,
    settings: Vec<(&'static str, String)>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    role: Role,
    /// Counted from 0 within the role.
    number: usize,
    port: u16,
    log: PathBuf,
    /// What it alone is told, from its next start on.
    settings: Vec<(&'static str, &'static str)>,
    child: Option<Child>,
}

impl Fleet {
    /// A fleet without members, whose logs go to `directory`, and which is told of its `stores`.
    #[must_use]
    pub fn new(directory: &Path, stores: &[(String, String)]) -> Self {
        Self {
            directory: directory.to_owned(),
            stores: stores.to_vec(),
            settings: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Tells every process that is started from now on one more setting.
    pub fn set(&mut self, name: &'static str, value: impl fmt::Display) {
        self.settings.push((name, value.to_string()));
    }

    /// Gives one process a setting of its own, and starts it anew.
    pub async fn assign(
        &mut self,
        role: Role,
        number: usize,
        setting: (&'static str, &'static str),
    ) -> anyhow::Result<()> {
        self.kill(role, number)?;
        self.member(role, number)?.settings.push(setting);
        self.restart(role, number).await
    }

    /// Starts so many more of each role, all at once, and waits until the last is ready.
    pub async fn grow(&mut self, recruits: &[(Role, usize)]) -> anyhow::Result<()> {
        let known = self.members.len();
        for (role, count) in recruits {
            for _ in 0..*count {
                self.enlist(*role)?;
            }
        }
        for index in known..self.members.len() {
            self.ready(index).await?;
        }
        Ok(())
    }

    /// Starts one more without waiting for anything.
    pub fn enlist(&mut self, role: Role) -> anyhow::Result<()> {
        let number = self.count(role);
        let log = self.directory.join(format!("{role}-{number}.log"));
        let mut member =
            Member { role, number, port: free_port()?, log, settings: Vec::new(), child: None };
        member.child = Some(self.spawn(&member, None)?);
        self.members.push(member);
        Ok(())
    }

    /// Kills one process with SIGKILL, and returns when it is no more.
    pub fn kill(&mut self, role: Role, number: usize) -> anyhow::Result<()> {
        self.member(role, number)?.kill();
        Ok(())
    }

    /// Asks one process with SIGTERM to leave.
    pub fn term(&self, role: Role, number: usize) -> anyhow::Result<()> {
        process::signal(self.pid(role, number)?, "TERM")
    }

    /// Asks one process to leave, as Ctrl-C does.
    pub fn interrupt(&self, role: Role, number: usize) -> anyhow::Result<()> {
        process::signal(self.pid(role, number)?, "INT")
    }

    /// Stops one process in mid-step with SIGSTOP, as if its host were frozen.
    pub fn freeze(&self, role: Role, number: usize) -> anyhow::Result<()> {
        process::signal(self.pid(role, number)?, "STOP")
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self, role: Role, number: usize) -> anyhow::Result<()> {
        process::signal(self.pid(role, number)?, "CONT")
    }

    /// The pid of one process, which may have ended by itself.
    pub fn pid(&self, role: Role, number: usize) -> anyhow::Result<u32> {
        let member = &self.members[self.index(role, number)?];
        let Some(child) = &member.child else { bail!("{member} does not run") };
        Ok(child.id())
    }

    /// How one process ended by itself; `None` while it runs.
    pub fn ended(&mut self, role: Role, number: usize) -> anyhow::Result<Option<ExitStatus>> {
        let member = self.member(role, number)?;
        let Some(child) = &mut member.child else { bail!("{member} was not started") };
        Ok(child.try_wait()?)
    }

    /// Waits at most `wait` until a process has left, and says how.
    pub async fn left(
        &mut self,
        role: Role,
        number: usize,
        wait: Duration,
    ) -> anyhow::Result<ExitStatus> {
        let member = self.member(role, number)?;
        let what = format!("{member} to leave");
        let Some(child) = &mut member.child else { bail!("{member} does not run") };
        let status = eventually(&what, wait, async || Ok(child.try_wait()?)).await?;
        member.child = None;
        Ok(status)
    }

    /// Starts a process again that was killed or left, and waits until it is ready.
    pub async fn restart(&mut self, role: Role, number: usize) -> anyhow::Result<()> {
        self.start(role, number)?;
        self.ready(self.index(role, number)?).await
    }

    /// Waits until every process is ready; an error when one has ended by itself.
    pub async fn all_ready(&mut self) -> anyhow::Result<()> {
        for index in 0..self.members.len() {
            self.ready(index).await?;
        }
        Ok(())
    }

    /// Starts a process again that was killed or left, and waits for nothing.
    pub fn start(&mut self, role: Role, number: usize) -> anyhow::Result<()> {
        self.start_with(role, number, None)
    }

    /// The same, with one more setting for this life alone.
    pub fn start_with(
        &mut self,
        role: Role,
        number: usize,
        setting: Option<(&str, &str)>,
    ) -> anyhow::Result<()> {
        let index = self.index(role, number)?;
        let child = self.spawn(&self.members[index], setting)?;
        self.members[index].child = Some(child);
        Ok(())
    }

    /// Every process of the fleet, dead or alive: its role and number.
    pub fn members(&self) -> impl Iterator<Item = (Role, usize)> {
        self.members.iter().map(|member| (member.role, member.number))
    }

    /// How many processes of a role there are, dead or alive.
    #[must_use]
    pub fn count(&self, role: Role) -> usize {
        self.members.iter().filter(|member| member.role == role).count()
    }

    /// A client that asks any server which answers.
    pub fn api(&self) -> anyhow::Result<Api> {
        let servers = self.members.iter().filter(|member| member.role.has_api());
        Api::new(servers.map(Member::base).collect())
    }

    /// A client of one process alone.
    pub fn door(&self, role: Role, number: usize) -> anyhow::Result<Api> {
        Api::new(vec![self.members[self.index(role, number)?].base()])
    }

    /// Where one process listens.
    pub fn address(&self, role: Role, number: usize) -> anyhow::Result<SocketAddr> {
        Ok(self.members[self.index(role, number)?].address())
    }

    /// How many lines of a process's log hold `words`, over all its lives.
    pub fn told(&self, role: Role, number: usize, words: &str) -> anyhow::Result<usize> {
        let log = self.log(role, number)?;
        Ok(log.lines().filter(|line| line.contains(words)).count())
    }

    /// The log of a process, of all its lives.
    pub fn log(&self, role: Role, number: usize) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.members[self.index(role, number)?].log)?)
    }

    /// The ends of all logs, to be shown when something failed.
    #[must_use]
    pub fn tails(&self) -> String {
        let mut tails = String::new();
        for member in &self.members {
            let tail = tail(&member.log);
            // Writing to a string cannot fail.
            let _ = writeln!(tails, "--- {member}, the end of its log\n{tail}");
        }
        tails
    }

    fn spawn(&self, member: &Member, setting: Option<(&str, &str)>) -> anyhow::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(&member.log)?;
        let mut command = Command::new(binary(member.role)?);
        command
            .env_clear()
            .envs(inherited())
            .envs(SETTINGS)
            .envs(self.stores.iter().map(|(name, value)| (name, value)))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .envs(member.settings.iter().copied())
            .envs(setting)
            .env(member.role.port_setting(), member.port.to_string())
            // Away from the working tree: a `.env` there must not reach the lab.
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(File::try_clone(&log)?)
            .stderr(log);
        command.spawn().with_context(|| format!("starting {member}"))
    }

    async fn ready(&mut self, index: usize) -> anyhow::Result<()> {
        let member = &mut self.members[index];
        let api = Api::new(vec![member.base()])?;
        let what = format!("{member} to be ready");
        let child = member.child.as_mut().context("it was started")?;
        let ready = eventually(&what, READY_WITHIN, async || {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(Err(status)));
            }
            api.ready().await.map(|()| Some(Ok(())))
        })
        .await;
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => {
                bail!("{member} ended with {status}\n{}", tail(&member.log))
            }
            Err(error) => Err(error.context(tail(&member.log))),
        }
    }

    fn member(&mut self, role: Role, number: usize) -> anyhow::Result<&mut Member> {
        let index = self.index(role, number)?;
        Ok(&mut self.members[index])
    }

    fn index(&self, role: Role, number: usize) -> anyhow::Result<usize> {
        self.members
            .iter()
            .position(|member| member.role == role && member.number == number)
            .with_context(|| format!("there is no {role} {number}"))
    }
}

impl Member {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn base(&self) -> String {
        format!("http://{}", self.address())
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended by itself and been waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.number)
    }
}

/// The program of a role.
pub fn binary(role: Role) -> anyhow::Result<PathBuf> {
    program(role.program())
}

/// A program of the workspace: in `PULSE_BIN_DIR`, else beside this one or one directory up, where
/// cargo puts it when this one is a test in `deps`.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let given = env::var_os("PULSE_BIN_DIR").map(PathBuf::from);
    let own = env::current_exe().context("finding this program")?;
    given
        .iter()
        .map(PathBuf::as_path)
        .chain(own.ancestors().skip(1).take(2))
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("no {name} beside this program: cargo build --workspace --bins"))
}

/// Whether the program of a role holds these words.
pub fn holds(role: Role, words: &str) -> anyhow::Result<bool> {
    let program = fs::read(binary(role)?)?;
    Ok(program.windows(words.len()).any(|window| window == words.as_bytes()))
}

/// What a process needs of the caller's environment, and the knobs a caller may turn for it.
fn inherited() -> impl Iterator<Item = (String, String)> {
    const PASSED: [&str; 10] = [
        "HOME",
        "LANG",
        "LD_LIBRARY_PATH",
        "LLVM_PROFILE_FILE",
        "PATH",
        "RUST_BACKTRACE",
        "DATABASE_POOL_SIZE",
        "LOG_LEVEL",
        "SCHEDULER_TICK_MS",
        "WORKER_CONCURRENCY",
    ];
    env::vars().filter(|(name, _)| PASSED.contains(&name.as_str()) || name.starts_with("PULSE_"))
}

/// A port that nobody listens on.
///
/// Sought below the range that the kernel gives to outgoing connections: one of those could sit on
/// the port just while its owner is dead and about to be restarted.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    const LOWEST: u16 = 20_000;
    const HIGHEST: u16 = 32_000;
    let span = i64::from(HIGHEST - LOWEST);
    let start = u16::try_from(clock::now_us() % span).unwrap_or_default();
    (0..HIGHEST - LOWEST)
        .map(|step| LOWEST + (start + step) % (HIGHEST - LOWEST))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no port is free")
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
