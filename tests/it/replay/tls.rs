//! TLS as companies have it: their own authority, a proxy in between, certificates that do not hold, and
//! connections that are cut. Real handshakes; every reason is told once, with what to do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use super::wire::{self, serve};
use super::{Collector, Device, light, path};
use crate::support::World;

/// A name that only a proxy knows.
const NAME: &str = "collector.example";

/// A company's own authority.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: PathBuf,
}

impl Authority {
    fn new(world: &World, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let pem = world.path().join(format!("{name}.pem"));
        std::fs::write(&pem, issuer.pem()).expect("a file");
        Authority { issuer, pem }
    }

    /// Starts a collector with a certificate for these names, between two years.
    fn collector(&self, world: &World, names: &[&str], years: (i32, i32)) -> Collector {
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).expect("parameters");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert_file, key_file) = (world.path().join("tls.pem"), world.path().join("tls.key"));
        std::fs::write(&cert_file, certificate.pem()).expect("a file");
        std::fs::write(&key_file, key.serialize_pem()).expect("a file");
        let data = world.path().join("archive");
        let args = ["--data", path(&data), "--listen", "127.0.0.1:0"];
        let tls = ["--tls-cert", path(&cert_file), "--tls-key", path(&key_file)];
        Collector::launch(world.countersign([&["collect"], &args[..], &tls[..]].concat()), data)
    }
}

/// A replay that knows no proxy and no certificates but those it is told of.
fn replay(world: &World, to: &str, token: &Path) -> Command {
    let mut command = world.countersign(["replay", "--once", "--to", to, "--token-file", path(token)]);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"] {
        command.env_remove(name);
    }
    command.env_remove("SSL_CERT_DIR");
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn trust(world: &World, authority: &Authority) {
    let config = world.home().join("config");
    std::fs::create_dir_all(&config).expect("a folder");
    let text = format!("[collector]\nca_file = '{}'\n", path(&authority.pem));
    std::fs::write(config.join("config.toml"), text).expect("a configuration");
}

#[test]
fn a_company_s_own_authority_is_trusted_where_configuration_or_environment_name_it() {
    let world = World::new();
    world.append((0..3).map(light));
    let authority = Authority::new(&world, "company");
    let collector = authority.collector(&world, &["127.0.0.1"], (2020, 2090));
    let (to, token) = (collector.url(), world.token("device"));
    assert!(to.starts_with("https://"), "{to}");
    let output = replay(&world, &to, &token).output().expect("replay runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(told(&output).contains("authority this device does not know"), "{}", told(&output));
    assert!(
        told(&output).contains("collector.ca_file") && told(&output).contains("SSL_CERT_FILE"),
        "{}",
        told(&output)
    );
    let status = world.status();
    assert_eq!(status["state"], "paused", "{status}");
    assert!(status["hint"].as_str().unwrap().contains("collector.ca_file"), "{status}");

    #[cfg(target_os = "linux")]
    {
        let output = replay(&world, &to, &token).env("SSL_CERT_FILE", &authority.pem).output().expect("replay runs");
        assert!(output.status.success(), "{}", told(&output));
        world.append((3..6).map(light));
    }
    trust(&world, &authority);
    let output = replay(&world, &to, &token).output().expect("replay runs");
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn a_certificate_that_does_not_hold_is_told_with_what_to_do_and_nothing_is_lost() {
    let world = World::new();
    world.append((0..3).map(light));
    let before = world.spooled();
    let authority = Authority::new(&world, "company");
    let token = world.token("device");
    trust(&world, &authority);
    for (names, years, says, hint) in [
        (["127.0.0.1"], (2020, 2021), "expired on 2021-01-01", "clock says"),
        (["127.0.0.1"], (2089, 2090), "good only from 2089-01-01", "clock says"),
        (["elsewhere.example"], (2020, 2090), "for another host", "collector.url"),
    ] {
        let collector = authority.collector(&world, &names, years);
        let output = replay(&world, &collector.url(), &token).output().expect("replay runs");
        assert_eq!(output.status.code(), Some(3), "{says}");
        assert!(told(&output).contains(says) && told(&output).contains(hint), "{says}: {}", told(&output));
        let status = world.status();
        assert_eq!(status["state"], "paused", "{status}");
        assert!(status["last_error"].as_str().unwrap().contains(says), "{status}");
        assert_eq!((world.pending(&collector.url()), world.spooled()), (3, before.clone()), "{says}");
    }
    // Something else than TLS.
    let (plain, _) = serve(|_| wire::answer("200 OK", "text/plain", ""));
    let output = replay(&world, &plain.replace("http://", "https://"), &token).output().expect("replay runs");
    assert_eq!(output.status.code(), Some(3));
    // It waits for a request that never comes in its own words.
    assert!(world.status()["last_error"].is_string());
    assert_eq!(world.spooled(), before);
}

/// Passes bytes on in both directions. After `cut` bytes from the collector it resets both ends.
fn pump(device: TcpStream, collector: TcpStream, cut: Option<usize>) {
    let (mut up_from, mut up_to) = (device.try_clone().expect("a socket"), collector.try_clone().expect("a socket"));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (collector, device);
    let (mut chunk, mut passed) = ([0; 4 << 10], 0);
    while let Ok(n) = from.read(&mut chunk) {
        let left = cut.map_or(n, |cut| cut.saturating_sub(passed).min(n));
        passed += n;
        if n == 0 || to.write_all(&chunk[..left]).is_err() {
            break;
        }
        if left < n {
            wire::reset(&to);
            // The other direction's hold on the socket ends, too: only then is it gone.
            let _ = to.shutdown(Shutdown::Read);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Between device and collector: cuts every connection after as many bytes as `cuts` says, the last for ever.
fn cutting(address: SocketAddr, cuts: Vec<Option<usize>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (n, device) in listener.incoming().flatten().enumerate() {
            let cut = cuts.get(n).copied().unwrap_or(None);
            let Ok(collector) = TcpStream::connect(address) else { return };
            std::thread::spawn(move || pump(device, collector, cut));
        }
    });
    here
}

#[test]
fn a_connection_that_is_cut_anywhere_in_tls_loses_and_doubles_nothing() {
    let world = World::new();
    world.append((0..1_000).map(light));
    let authority = Authority::new(&world, "company");
    let collector = authority.collector(&world, &["127.0.0.1"], (2020, 2090));
    let token = world.token("device");
    trust(&world, &authority);
    // In the greeting, in the certificate, and in answers.
    let cuts = [1, 100, 700, 1_500, 1_800, 2_000, 2_200, 2_500].map(Some).to_vec();
    let tries = cuts.len();
    let to = format!("https://{}", cutting(collector.address, cuts));
    for _ in 0..=tries {
        let output = replay(&world, &to, &token).output().expect("replay runs");
        if output.status.success() {
            break;
        }
        let status = world.status();
        assert_eq!(status["state"], "offline", "it passes by itself: {status}");
    }
    assert_eq!(world.pending(&to), 0);
    assert_eq!(world.archived(), world.spooled());
}

/// A proxy that knows one name. What it heard: the request line and who asked.
fn proxy(address: SocketAddr, wants: Option<&'static str>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("an address");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut device in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(device.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            log.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
            let known = head.starts_with(&format!("CONNECT {NAME}:443 "));
            let allowed = wants.is_none_or(|wants| head.contains(wants));
            let Ok(collector) = TcpStream::connect(address) else { return };
            // Whoever asked may have gone.
            let _ = match (known, allowed) {
                (true, true) => device.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n"),
                (true, false) => device.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
                _ => device.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
            };
            if known && allowed {
                std::thread::spawn(move || pump(device, collector, None));
            }
        }
    });
    (here, heard)
}

#[test]
fn a_proxy_is_used_where_the_environment_names_one_and_not_where_it_says_so() {
    let world = World::new();
    world.append((0..3).map(light));
    let authority = Authority::new(&world, "company");
    let collector = authority.collector(&world, &[NAME], (2020, 2090));
    let token = world.token("device");
    trust(&world, &authority);
    // "user:secret"
    let (address, heard) = proxy(collector.address, Some("Basic dXNlcjpzZWNyZXQ="));
    let to = format!("https://{NAME}");
    let run = |set: &[(&str, String)]| {
        let mut command = replay(&world, &to, &token);
        command.envs(set.iter().map(|(name, value)| (*name, value.as_str()))).output().expect("replay runs")
    };

    let output = run(&[("HTTPS_PROXY", format!("http://{address}"))]);
    assert_eq!(output.status.code(), Some(3));
    assert!(told(&output).contains("proxy does not let us through"), "{}", told(&output));
    assert!(told(&output).contains("HTTPS_PROXY") && told(&output).contains("password"), "{}", told(&output));
    assert_eq!(world.status()["state"], "paused");

    let asked = heard.lock().unwrap().len();
    let with_password = ("HTTPS_PROXY", format!("http://user:secret@{address}"));
    let output = run(&[with_password.clone(), ("NO_PROXY", format!("{NAME},other.example"))]);
    assert_eq!(output.status.code(), Some(3), "nobody has this name");
    assert_eq!(heard.lock().unwrap().len(), asked, "the proxy is not asked");
    assert_eq!(world.status()["state"], "offline");

    let output = run(&[with_password]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(world.archived(), world.spooled());
    assert!(heard.lock().unwrap()[asked..].iter().all(|line| line == &format!("CONNECT {NAME}:443 HTTP/1.1")));

    // A proxy that is not there.
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    world.append([light(3)]);
    let output = run(&[("HTTPS_PROXY", format!("http://user:secret@{gone}"))]);
    assert_eq!(output.status.code(), Some(3));
    assert!(told(&output).contains("HTTPS_PROXY"), "{}", told(&output));
    assert!(!told(&output).contains("secret") && !world.status().to_string().contains("secret"), "{}", told(&output));
}

#[test]
fn a_collector_on_this_machine_is_reached_without_proxy_and_without_any_certificates() {
    let world = World::new();
    world.append((0..3).map(light));
    let collector = Collector::start(&world);
    let token = world.token("device");
    let none = world.path().join("none.pem");
    std::fs::write(&none, "").expect("a file");
    let (address, heard) = proxy(collector.address, None);
    let mut command = replay(&world, &collector.url(), &token);
    command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", world.path().join("no-such-folder"));
    command.env("HTTP_PROXY", format!("http://{address}")).env("ALL_PROXY", format!("http://{address}"));
    let output = command.output().expect("replay runs");
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(*heard.lock().unwrap(), Vec::<String>::new());
    assert_eq!(world.status()["last_error"], json!(null));
}
