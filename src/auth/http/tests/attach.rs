//! One authorizer for several clients: each has its own settings, connections and interruptions.

use super::*;
use crate::{ClientSettings, UserAuth, UserAuthRequest, UserAuthenticator};

fn attached(http: &HttpAuthorizer, client: &ClientSettings) -> Arc<dyn Authorizer> {
    http.attach(client).unwrap()
}

/// Returns `true` if its request goes to the proxy, which does not run.
fn reaches_the_proxy(authorizer: &impl Authorizer) -> bool {
    authorizer.authorize(&auth_request()).unwrap_err().to_string().contains("the proxy")
}

/// A server that signals each request, and responds when the sender is dropped.
fn held() -> (String, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((requested, wait), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    let released = Arc::new(std::sync::Mutex::new(released));
    let url = peer(move |mut stream| {
        let (requested, released) = (requested.clone(), Arc::clone(&released));
        spawn(move || {
            read_request(&mut stream);
            let _ = requested.send(());
            let _ = released.lock().unwrap().recv();
            reply(&mut stream, "200 OK", GOOD);
        });
    });
    (url, wait, release)
}

/// Sends both requests, interrupts one of them, and lets the other one get its response.
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
fn interrupting_one_client_keeps_the_requests_of_the_other() {
    let (url, wait, release) = held();
    let http = Arc::new(HttpAuthorizer::new(&url).timeout(LONG * 3));
    let [first, second] = [(); 2].map(|()| http.attach(&ClientSettings::default()).unwrap());
    let requests = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authorize(&auth_request()).map(drop)
    });
    one_is_interrupted(requests, || first.interrupt(), &wait, release);
}

#[test]
fn interrupting_one_client_keeps_the_other_ones_authentication() {
    let (url, wait, release) = held();
    let http = HttpUserAuthenticator::new(&url)
        .timeout(LONG * 3)
        .parser(|text| Ok(UserAuth::new("k:s", text)));
    let http = Arc::new(http);
    let [first, second] = [(); 2].map(|()| http.attach(&ClientSettings::default()).unwrap());
    let requests = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authenticate(&UserAuthRequest::new("1.2")).map(drop)
    });
    one_is_interrupted(requests, || first.interrupt(), &wait, release);
}

#[test]
fn attached_authorizers_of_one_client_are_interrupted_together() {
    let (url, wait, release) = held();
    let http = HttpAuthorizer::new(&url).timeout(LONG * 3);
    let (client, other) = (ClientSettings::default(), ClientSettings::default());
    let [first, again] = [(); 2].map(|()| attached(&http, &client.clone()));
    let second = attached(&http, &other);
    let requests = [&first, &second].map(|it| {
        let it = Arc::clone(it);
        move || it.authorize(&auth_request()).map(drop)
    });
    one_is_interrupted(requests, || again.interrupt(), &wait, release);
}

#[test]
fn interrupting_the_authorizer_itself_ends_the_requests_of_all_clients() {
    let (url, wait, _release) = held();
    let http = HttpAuthorizer::new(&url).timeout(LONG * 3);
    let first = attached(&http, &ClientSettings::default());
    // A client may get what is attached to another one.
    let second = first.attach(&ClientSettings::default()).unwrap();
    let results = [first, second]
        .map(|attached| spawn(move || attached.authorize(&auth_request()).map(drop)));
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
        assert!(direct.authorize(&auth_request()).is_ok());
        assert!(reaches_the_proxy(&by_proxy));
        assert!(authorize(&http).is_ok(), "it has no client");
    }
    // Its own setting applies to all clients.
    let own = HttpAuthorizer::new(&url).proxy(Proxy::none());
    let client = ClientSettings::new(Tls::default(), dead);
    assert!(attached(&own, &client).authorize(&auth_request()).is_ok());
}

#[test]
fn settings_apply_to_each_client_and_are_not_shown() {
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
    assert_eq!(attached.authorize(&auth_request()).unwrap().auth, "canary");
    let seen = seen.recv_timeout(LONG).unwrap();
    assert_eq!(seen.header("x-token"), Some("canary"));
    assert!(seen.body.ends_with("&device=7"), "{}", seen.body);
    assert!(!format!("{client:?} {http:?}").contains("canary"));
}

#[test]
fn dropped_client_leaves_nothing() {
    let http = HttpAuthorizer::new("http://127.0.0.1:1/");
    for _ in 0..10 {
        drop(attached(&http, &ClientSettings::default()));
    }
    assert_eq!(http.endpoint.agents.attached(), 1, "the last one, until there is another");
}

/// A wrapper as it was written before `attach` existed.
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

/// A wrapper as in the documentation of `attach`.
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
fn wrapping_authorizer_attaches_the_inner_one() {
    let (url, _seen) = server("200 OK", GOOD);
    let (listener, address) = listen();
    drop(listener);
    let dead = Proxy::new(&format!("http://{address}")).unwrap();
    let [direct, dead] = [Proxy::none(), dead].map(|it| ClientSettings::new(Tls::default(), it));

    let old = Old(HttpAuthorizer::new(&url));
    assert!(old.attach(&dead).is_none());
    assert!(reaches_the_proxy(&old));
    assert!(old.attach(&direct).is_none());
    assert!(old.authorize(&auth_request()).is_ok());

    // Behind an `Arc`, a `Box`, and another of its kind.
    let http: Box<dyn Authorizer + Send + Sync> = Box::new(HttpAuthorizer::new(&url));
    let new = New(New(Arc::new(http)));
    let [by_proxy, direct] = [&dead, &direct].map(|client| new.attach(client).unwrap());
    assert!(reaches_the_proxy(&by_proxy));
    assert!(direct.authorize(&auth_request()).is_ok());
    // The inner one has no state of a client.
    assert!(New(crate::SecretAuthorizer::new("key", "secret")).attach(&dead).is_none());
}

#[test]
fn interruption_while_the_request_is_prepared_ends_it() {
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
        let error = authorizer.authorize(&auth_request()).unwrap_err();
        assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: interrupted");
        assert_eq!(error.kind(), ErrorKind::Io);
    }
    assert!(seen.try_recv().is_err());
}

#[test]
fn interruption_ends_all_requests_of_a_batch() {
    let batched: fn(HttpAuthorizer) -> HttpAuthorizer = |http| http.batched(Duration::ZERO);
    for build in [batched, |http| http] {
        let (url, wait, _release) = held();
        let http = HttpAuthorizer::new("");
        let http = build(http.url_with(move |request| format!("{url}?{}", request.channel())));
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
}
