//! What happens to certificates, in events and metrics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::keys::{control_event, stamp};
use crate::lifecycle::{Lifecycle, lock};

/// How often a certificate that is near its end is told again.
const WARN_AGAIN: Duration = Duration::from_secs(86_400);

impl Lifecycle {
    /// Records what has happened to certificates, and once a day those that are near their end.
    pub(crate) fn note_certificates(&self) {
        for notice in self.gateway.certificate_notices() {
            let (action, word) = match notice.error {
                None => ("certificate-issued", "issued"),
                Some(_) => ("certificate-failed", "failed"),
            };
            self.metrics().certificate_order(word);
            let error = notice.error.unwrap_or_default();
            let _ = self.recorder.record_durable(control_event(action, "acme", &notice.domains, &error));
        }
        let all = self.gateway.certificates();
        self.metrics().set_certificates(
            all.iter().filter_map(|one| Some((&*one.listener, one.names.first()?.as_str(), one.not_after?))),
        );
        let mut warned = lock(&self.warned);
        let now = SystemTime::now();
        warned.retain(|_, at| now.duration_since(*at).is_ok_and(|ago| ago < WARN_AGAIN));
        for one in all.iter().filter(|one| matches!(one.state, "near-end" | "expired")) {
            if warned.contains_key(&one.source) {
                continue;
            }
            warned.insert(one.source.clone(), now);
            let end = one.not_after.map(|seconds| stamp(UNIX_EPOCH + Duration::from_secs(seconds)));
            let detail = format!("`{}` ends at {}", one.source, end.unwrap_or_default());
            let names = one.names.join(", ");
            let _ = self.recorder.record_durable(control_event(
                "certificate-near-end",
                "gateway",
                &names,
                &detail,
            ));
        }
    }
}
