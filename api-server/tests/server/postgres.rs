//! A PostgreSQL of a test's own: made, started, killed, started again.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    api::{eventually, run},
    certificates::Pair,
};

/// The superuser's password; the server asks for it.
pub(crate) const PASSWORD: &str = "a password, with: odd/ characters";

/// A server that ends with this value.
pub(crate) struct Postgres {
    directory: TempDir,
    binaries: PathBuf,
    /// Whom it runs as, where the tests run as root: it refuses to.
    user: Option<(u32, u32)>,
    pub(crate) port: u16,
    running: Option<Child>,
}

impl Postgres {
    /// Makes one that does not run yet.
    pub(crate) fn prepare() -> Self {
        let user = (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])));
        let directory = TempDir::new().unwrap();
        let password_file = directory.path().join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            for path in [directory.path(), &password_file] {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let postgres = Self {
            directory,
            binaries: binaries(),
            user,
            port: free_port(),
            running: None,
        };
        let made = postgres
            .command("initdb")
            .args(["--auth=scram-sha-256", "--username=postgres", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(postgres.data())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        postgres
    }

    /// Makes one, starts it and migrates it.
    pub(crate) async fn migrated() -> Self {
        let mut postgres = Self::prepare();
        postgres.start().await;
        let url = postgres.url();
        let migrated = run(&["migrate"], &[("DATABASE_URL", &url)]);
        assert!(
            migrated.status.success(),
            "{}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        postgres
    }

    /// Starts it and waits until it takes connections.
    pub(crate) async fn start(&mut self) {
        // After a kill, the old server's children hold on for a moment.
        eventually(Duration::from_secs(30), async || {
            self.spawn();
            let accepts = async || {
                let exited = self.running.as_mut().unwrap().try_wait().unwrap();
                if exited.is_some() {
                    return Some(false);
                }
                let ready = tokio::net::TcpStream::connect(("127.0.0.1", self.port));
                ready.await.ok().map(|_| true)
            };
            eventually(Duration::from_secs(20), accepts)
                .await
                .then_some(())
        })
        .await;
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&mut self) {
        let child = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args([
                "-c",
                &format!(
                    "unix_socket_directories={}",
                    self.directory.path().display()
                ),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.running = Some(child.unwrap());
    }

    /// Ends it without a word to anybody.
    pub(crate) fn kill(&mut self) {
        let mut child = self.running.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// How to reach it, password and all.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres:a%20password%2C%20with%3A%20odd%2F%20characters@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// How to reach it, for those who know the password.
    pub(crate) fn url_without_password(&self) -> String {
        format!(
            "postgresql+asyncpg://postgres@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// How to reach it as `role`, for those who know its password.
    pub(crate) fn url_as(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// Speaks TLS with this pair, once it is started or told to reload.
    pub(crate) fn use_certificate(&self, pair: &Pair) {
        let files = [
            ("server.crt", &pair.certificate),
            ("server.key", &pair.key),
            ("postgresql.auto.conf", &"ssl = on\n".to_owned()),
        ];
        for (name, content) in files {
            let path = self.data().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = self.user {
                chown(&path, Some(uid), Some(gid)).unwrap();
            }
        }
    }

    /// Takes nobody who speaks no TLS, once it is started.
    pub(crate) fn refuse_plaintext(&self) {
        let path = self.data().join("pg_hba.conf");
        let rule = "hostssl all all all scram-sha-256\n";
        fs::write(path, rule).unwrap();
    }

    /// Makes a directory that the server may use.
    pub(crate) fn make_directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir(&path).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    /// Whom it runs as, where the tests run as root.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.user
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.current_dir(self.directory.path());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

/// Where the server's binaries are: `PG_BIN`, the search path, or Debian's.
fn binaries() -> PathBuf {
    let given = std::env::var_os("PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.map(|entry| entry.unwrap().path().join("bin"));
    given
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(debian)
        .find(|directory: &PathBuf| Path::exists(&directory.join("initdb")))
        .expect("PostgreSQL's server is not installed: set PG_BIN to where initdb is")
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    assert!(output.status.success(), "id {arguments:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
