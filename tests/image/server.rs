//! A CXone of the network outside: a name that must be resolved, and TLS by an authority of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Its name. In a pod it is tried in three other domains first, since it has fewer than five dots.
pub const NAME: &str = "cxone.example.test";
/// What a pod has for the resolver.
pub const SEARCH: &str = "search sales.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

/// A server that greets nobody: every request is answered with 401.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who vouches for it, in PEM.
    pub authority: String,
}

impl Server {
    /// Serves until the process ends.
    pub fn start() -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::from_params(&params, &authority_key);
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![named.der().clone()], key).unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || refuse(stream, config));
            }
        });
        Self { address, authority: authority.pem() }
    }
}

fn refuse(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut asked = [0; 4096];
    while stream.read(&mut asked)? > 0 {
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}")?;
        stream.flush()?;
    }
    Ok(())
}

/// A name server as a cluster's is, that knows [`NAME`] alone. Gives its address, which has the port that the C library asks; none
/// where this process may not have that port.
pub fn name_server() -> Option<SocketAddr> {
    // Any address of loopback will do, and this one is hardly anybody's.
    let socket = UdpSocket::bind("127.53.65.32:53").ok()?;
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&answer(&query[..length]), from);
        }
    });
    Some(address)
}

/// NXDOMAIN, or 127.0.0.1 where it is the name and an A record that is asked for.
fn answer(query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let (name, kind) = (&query[12..end - 4], query[end - 3]);
    let known = name == wire(NAME);
    let found = known && kind == 1;
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(&query[12..end]);
    if found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
