//! One authorizer of several clients: each has its own settings, connections and interruption.

use super::*;
use crate::{ClientSettings, UserAuth, UserAuthRequest, UserAuthenticator};

fn attached(http: &HttpAuthorizer, client: &ClientSettings) -> Arc<dyn Authorizer> {
    http.attach(client).unwrap()
}

/// Whether its request goes to a proxy that does not run.
fn reaches_the_proxy(authorizer: &impl Authorizer) -> bool {
    authorizer.authorize(&question()).unwrap_err().to_string().contains("the proxy")
}

/// A server that responds to no request until it is told so; and signals each request.
fn held() -> (String, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((asked, wait), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    let released = Arc::new(std::sync::Mutex::new(released));
    let url = peer(move |mut stream| {
        let (asked, released) = (asked.clone(), Arc::clone(&released));
        spawn(move || {
            read_request(&mut stream);
            let _ = asked.send(());
            let _ = released.lock().unwrap().recv();
            reply(&mut stream, "200 OK", GOOD);
        });
    });
    (url, wait, release)
}

/// Both ask; then one of them is interrupted, and the other one gets its response.
fn one_is_interrupted(
    [first, second]: [impl Fn() -> Result<(), Error> + Send + 'static; 2],
    interrupt: impl FnOnce(),
    wait: &mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
) {
    let [first, second] = [spawn(first), spawn(second)];
    wait.recv_timeout(LONG).unwrap();
    wait.recv_timeout(LONG).unwrap();
    interrupt();
    let error = first.recv_timeout(LONG).unwrap().unwrap_err();
    assert!(error.to_string().ends_with(": interrupted"), "{error}");
    drop(release);
    second.recv_timeout(LONG).unwrap().unwrap();
}

#[test]
fn an_interruption_for_one_client_leaves_the_requests_of_the_other() {
    let (url, wait, release) = held();
    let http = Arc::new(HttpAuthorizer::new(&url).timeout(LONG * 3));
    let [first, second] = [(); 2].map(|()| http.attach(&ClientSettings::default()).unwrap());
    let asks = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authorize(&question()).map(drop)
    });
    one_is_interrupted(asks, || first.interrupt(), &wait, release);
}

#[test]
fn nor_does_that_of_an_authenticator() {
    let (url, wait, release) = held();
    let http = HttpUserAuthenticator::new(&url)
        .timeout(LONG * 3)
        .parser(|text| Ok(UserAuth::new("k:s", text)));
    let http = Arc::new(http);
    let [first, second] = [(); 2].map(|()| http.attach(&ClientSettings::default()).unwrap());
    let asks = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authenticate(&UserAuthRequest::new("1.2")).map(drop)
    });
    one_is_interrupted(asks, || first.interrupt(), &wait, release);
}

#[test]
fn channels_of_one_client_share_connections_and_interruption() {
    let (url, wait, release) = held();
    let http = HttpAuthorizer::new(&url).timeout(LONG * 3);
    let (client, other) = (ClientSettings::default(), ClientSettings::default());
    let [first, again] = [(); 2].map(|()| attached(&http, &client.clone()));
    let second = attached(&http, &other);
    let asks = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authorize(&question()).map(drop)
    });
    one_is_interrupted(asks, || again.interrupt(), &wait, release);
}

#[test]
fn an_interruption_of_the_authorizer_itself_is_for_all() {
    let (url, wait, _release) = held();
    let http = HttpAuthorizer::new(&url).timeout(LONG * 3);
    let results = [(); 2].map(|()| {
        let attached = attached(&http, &ClientSettings::default());
        spawn(move || attached.authorize(&question()).map(drop))
    });
    wait.recv_timeout(LONG).unwrap();
    wait.recv_timeout(LONG).unwrap();
    http.interrupt();
    for result in results {
        let error = result.recv_timeout(LONG).unwrap().unwrap_err();
        assert!(error.to_string().ends_with(": interrupted"), "{error}");
    }
}

#[test]
fn each_client_has_its_own_proxy() {
    let (url, _seen) = server("200 OK", GOOD);
    let (listener, address) = listen();
    drop(listener);
    let dead = Proxy::new(&format!("http://{address}")).unwrap();
    let http = HttpAuthorizer::new(&url);
    let direct = attached(&http, &ClientSettings::default());
    let by_proxy = attached(&http, &ClientSettings::new(Tls::default(), dead.clone()));
    for _ in 0..2 {
        assert!(direct.authorize(&question()).is_ok());
        assert!(reaches_the_proxy(&by_proxy));
        assert!(ask(&http).is_ok(), "it has no client");
    }
    // What it says itself counts for all.
    let own = HttpAuthorizer::new(&url).proxy(Proxy::none());
    let client = ClientSettings::new(Tls::default(), dead);
    assert!(attached(&own, &client).authorize(&question()).is_ok());
}

#[test]
fn what_is_set_counts_for_each_client_and_is_not_shown() {
    let (url, seen) = server("200 OK", "canary");
    let http = HttpAuthorizer::new(&url)
        .header("x-token", "canary")
        .param("device", "7")
        .parser(|text| Ok(Auth::new(text)))
        .batched(Duration::from_millis(7));
    let client = ClientSettings::default();
    let attached = attached(&http, &client);
    assert_eq!(attached.batch_window(), Some(Duration::from_millis(7)));
    assert_eq!(attached.endpoint(), http.endpoint());
    assert_eq!(attached.authorize(&question()).unwrap().auth, "canary");
    let seen = seen.recv_timeout(LONG).unwrap();
    assert_eq!(seen.header("x-token"), Some("canary"));
    assert!(seen.body.ends_with("&device=7"), "{}", seen.body);
    assert!(!format!("{client:?} {http:?}").contains("canary"));
}

#[test]
fn a_client_that_is_gone_leaves_nothing() {
    let http = HttpAuthorizer::new("http://127.0.0.1:1/");
    for _ in 0..10 {
        drop(attached(&http, &ClientSettings::default()));
    }
    assert_eq!(http.endpoint.agents.attached(), 1, "the last one, until there is another");
}

/// As authorizers of one's own were written before there was `attach`.
struct Old(HttpAuthorizer);

impl Authorizer for Old {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.0.authorize(request)
    }

    fn use_tls(&self, tls: &Tls) {
        self.0.use_tls(tls);
    }

    fn use_proxy(&self, proxy: &Proxy) {
        self.0.use_proxy(proxy);
    }
}

/// As the documentation of `attach` has it.
struct New<A>(A);

impl<A: Authorizer> Authorizer for New<A> {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.0.authorize(request)
    }

    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
        Some(Arc::new(New(self.0.attach(client)?)))
    }
}

#[test]
fn an_authorizer_around_another_one_passes_the_client_on() {
    let (url, _seen) = server("200 OK", GOOD);
    let (listener, address) = listen();
    drop(listener);
    let dead = Proxy::new(&format!("http://{address}")).unwrap();
    let [direct, dead] = [Proxy::none(), dead].map(|it| ClientSettings::new(Tls::default(), it));

    let old = Old(HttpAuthorizer::new(&url));
    assert!(old.attach(&dead).is_none());
    assert!(reaches_the_proxy(&old));
    assert!(old.attach(&direct).is_none());
    assert!(old.authorize(&question()).is_ok());

    // Behind an `Arc`, a `Box`, and another of its kind.
    let http: Box<dyn Authorizer + Send + Sync> = Box::new(HttpAuthorizer::new(&url));
    let new = New(New(Arc::new(http)));
    let [by_proxy, direct] = [&dead, &direct].map(|client| new.attach(client).unwrap());
    assert!(reaches_the_proxy(&by_proxy));
    assert!(direct.authorize(&question()).is_ok());
    // One that has nothing of a client's.
    assert!(New(crate::SecretAuthorizer::new("key", "secret")).attach(&dead).is_none());
}

#[test]
fn interruption_while_the_request_is_made_up_ends_it() {
    let (url, seen) = server("200 OK", GOOD);
    let http = Arc::new_cyclic(|http: &std::sync::Weak<HttpAuthorizer>| {
        let interrupt = http.clone();
        HttpAuthorizer::new(&url).headers_with(move || {
            interrupt.upgrade().unwrap().interrupt();
            Vec::new()
        })
    });
    let client = attached(&http, &ClientSettings::default());
    for authorizer in [&client, &(Arc::clone(&http) as Arc<dyn Authorizer>)] {
        let error = authorizer.authorize(&question()).unwrap_err();
        assert_eq!(said(&error), "authorization at 127.0.0.1:PORT: interrupted");
        assert_eq!(error.kind(), ErrorKind::Io);
    }
    assert!(seen.try_recv().is_err());
}

#[test]
fn interruption_ends_all_requests_of_a_batch() {
    let (url, wait, _release) = held();
    let http = HttpAuthorizer::new("")
        .url_with(move |request| format!("{url}?{}", request.channel()))
        .batched(Duration::ZERO);
    let attached = attached(&http, &ClientSettings::default());
    let requests = ["private-a", "private-b"].map(|name| AuthRequest::new("1.2", name));
    let responses = spawn(move || attached.authorize_many(&requests));
    wait.recv_timeout(LONG).unwrap();
    http.interrupt();
    for response in responses.recv_timeout(LONG / 2).unwrap() {
        let error = response.unwrap_err();
        assert!(error.to_string().ends_with(": interrupted"), "{error}");
    }
    assert!(wait.try_recv().is_err(), "the second request is not sent");
}
