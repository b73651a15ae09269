//! One caller of a channel, who complains when something is wrong.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Floor;
use crate::client::{Answer, Call, Client, Device};
use crate::data::{customer, password};
use crate::day::Hours;
use crate::tally::End;

/// One caller of a channel.
pub(crate) struct Caller {
    pub(crate) channel: &'static str,
    pub(crate) floor: Floor,
    pub(crate) client: Client,
    session: Option<Session>,
}

/// What was got at sign-in.
struct Session {
    refresh: String,
    /// From when on the token may have expired.
    stale: Instant,
}

// === impl Caller ===

impl Caller {
    /// A caller with an address of its own: `127.0.<subnet>.<number + 1>`.
    pub(crate) fn new(
        floor: Floor,
        channel: &'static str,
        subnet: u8,
        number: usize,
        device: Device,
    ) -> Self {
        let last = u8::try_from(number % 200).unwrap_or(0) + 1;
        let client = Client::new(floor.gate.clone(), [127, 0, subnet, last], device);
        Self { channel, floor, client, session: None }
    }

    /// Another of the same channel, over the same connection where one can be shared.
    pub(crate) async fn share(&mut self) -> Self {
        let client = self.client.share().await;
        Self { channel: self.channel, floor: self.floor.clone(), client, session: None }
    }

    pub(crate) async fn pause(&mut self, millis: u64) -> bool {
        self.floor.pause(millis).await
    }

    pub(crate) async fn between(&mut self, millis: u64, hours: &Hours) -> bool {
        self.floor.between(millis, hours).await
    }

    /// Signs in as a customer, from a client.
    pub(crate) async fn sign_in(&mut self, number: usize, client: &str) -> Option<()> {
        let body = json!({ "email": customer(number).1, "password": password(number), "client": client });
        let answer = self.post("/accounts/sign-in", &body, StatusCode::OK, |_| true).await?;
        self.signed_in(&answer.json());
        Some(())
    }

    /// Goes on with a token.
    pub(crate) fn signed_in(&mut self, got: &Value) {
        self.client.token(got["token"].as_str().unwrap_or_default());
        let refresh = got["refresh_token"].as_str().map(str::to_owned);
        let refresh = refresh.or_else(|| self.session.take().map(|session| session.refresh));
        // Whole seconds are signed: a token may be as good as a second old.
        let life = got["expires_in"].as_u64().unwrap_or_default().saturating_sub(1);
        let stale = Instant::now() + Duration::from_secs(life);
        self.session = refresh.map(|refresh| Session { refresh, stale });
    }

    pub(crate) async fn get(&mut self, path: &str, is_right: impl FnOnce(&Answer) -> bool) -> Option<Answer> {
        self.call(&Call::get(path), StatusCode::OK, &[], is_right).await
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        status: StatusCode,
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        self.call(&Call::json(Method::POST, path, body), status, &[], is_right).await
    }

    /// Tells the shop what its customer did.
    pub(crate) async fn tell(&mut self, kind: &str, value: f64) -> Option<()> {
        let body = json!({ "events": [{ "kind": kind, "value": value }] });
        self.post("/events/", &body, StatusCode::ACCEPTED, |answer| answer.json()["taken"] == 1).await?;
        Some(())
    }

    /// Calls. The answer if it is right, or one of those errors that belong to the habit; nothing if there is a complaint.
    pub(crate) async fn call(
        &mut self,
        call: &Call<'_>,
        status: StatusCode,
        expected: &[StatusCode],
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        let mut outcome = if call.told {
            match hang_up(&mut self.floor, self.client.call(call)).await {
                Some(outcome) => outcome,
                None => return self.hung_up(call),
            }
        } else {
            self.client.call(call).await
        };
        if outcome.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED)
            && let Some(refresh) = self.stale()
        {
            self.count(call, outcome.ok().map(|answer| answer.took), End::Expected);
            // Boxed: this call is one like any other.
            Box::pin(self.refresh(refresh)).await?;
            outcome = self.client.call(call).await;
        }
        self.judge(call, status, expected, outcome, is_right)
    }

    fn judge(
        &self,
        call: &Call<'_>,
        status: StatusCode,
        expected: &[StatusCode],
        outcome: Result<Answer, String>,
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        match outcome {
            Err(error) => {
                let text = format!("{} {}: {error}", call.method, call.path);
                self.count(call, None, End::Wrong(text));
                None
            }
            Ok(answer) if answer.status == status && is_right(&answer) => {
                self.count(call, Some(answer.took), End::Right);
                Some(answer)
            }
            Ok(answer) if expected.contains(&answer.status) => {
                let end = if answer.status.is_success() { End::Right } else { End::Expected };
                self.count(call, Some(answer.took), end);
                Some(answer)
            }
            Ok(answer) => {
                self.complain(call, &answer);
                None
            }
        }
    }

    /// A call that goes wrong by habit, and has to: nobody may serve it.
    pub(crate) async fn slip(&mut self, call: &Call<'_>, status: StatusCode) -> Option<()> {
        // Where nobody looks after the shop, slips are served.
        match self.client.call(call).await {
            Ok(answer) if answer.status == status || !self.floor.protected => {
                self.count(call, Some(answer.took), End::Expected);
                Some(())
            }
            Ok(answer) => {
                self.complain(call, &answer);
                None
            }
            Err(error) => {
                let text = format!("{} {}: {error}", call.method, call.path);
                self.count(call, None, End::Wrong(text));
                None
            }
        }
    }

    /// Listens on a WebSocket connection until the shop ends it.
    pub(crate) async fn websocket(
        &mut self,
        path: &str,
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        let call = Call::listen(path);
        match hang_up(&mut self.floor, self.client.websocket(path)).await {
            Some(outcome) => self.judge(&call, StatusCode::SWITCHING_PROTOCOLS, &[], outcome, is_right),
            None => self.hung_up(&call),
        }
    }

    /// A call whose connection is lost before the answer is there.
    pub(crate) async fn lose(&mut self, call: &Call<'_>) -> Option<()> {
        match self.client.lose(call).await {
            Ok(()) => {
                self.count(call, None, End::Expected);
                Some(())
            }
            Err(error) => {
                self.count(call, None, End::Wrong(format!("{} {}: {error}", call.method, call.path)));
                None
            }
        }
    }

    /// The shop has closed while the caller listened.
    fn hung_up(&self, call: &Call<'_>) -> Option<Answer> {
        self.count(call, None, End::Expected);
        None
    }

    async fn refresh(&mut self, refresh: String) -> Option<()> {
        let body = json!({ "refresh_token": refresh });
        let answer = self.post("/accounts/tokens", &body, StatusCode::OK, |_| true).await?;
        self.signed_in(&answer.json());
        Some(())
    }

    /// The refresh token, if the other may have expired.
    fn stale(&self) -> Option<String> {
        let session = self.session.as_ref().filter(|session| session.stale <= Instant::now())?;
        Some(session.refresh.clone())
    }

    fn complain(&self, call: &Call<'_>, answer: &Answer) {
        let text = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
        let text = format!("{} {}: {} {text}", call.method, call.path, answer.status);
        let refused = answer.status.is_client_error();
        let end = if refused { End::Refused(text) } else { End::Wrong(text) };
        self.count(call, Some(answer.took), end);
    }

    fn count(&self, call: &Call<'_>, took: Option<Duration>, end: End) {
        self.floor.tally.called(self.channel, call.path, took, end);
    }
}

/// Listens, but not for long when the shop has closed.
async fn hang_up<T>(floor: &mut Floor, listening: impl Future<Output = T>) -> Option<T> {
    /// What a call is given to begin with at least.
    const LAST: u64 = 500;
    let closed = async {
        while !floor.pause(60_000).await {}
        tokio::time::sleep(Duration::from_millis(LAST)).await;
    };
    tokio::select! {
        heard = listening => Some(heard),
        () = closed => None,
    }
}
