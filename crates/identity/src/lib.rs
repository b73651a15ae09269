//! Credentials to principals: API keys and signed tokens.
//!
//! Nothing here does I/O or reads a clock. Keys come from the store and are handed to a [`KeyRing`]; a provider's public
//! keys are fetched by the edge and handed to a [`JwksHandle`]; the time is the exchange's.
//!
//! What cannot happen, by construction: a token verified with a symmetric key (none is ever loaded), with `none`, with an
//! algorithm that its key or its policy does not name, or with a key that the token brings along. A proof of possession brings
//! its key along; it counts only if the token names that key.

mod dpop;
mod guard;
mod jwks;
mod jws;
mod keys;
mod ring;
mod token;

pub use dpop::{Binding, Dpop, ProofRefusal, Proofs, Thumbprint};
pub use guard::{Accepted, IdentityGuard};
pub use jwks::{JwksHandle, KeySet, KeySetError};
pub use jws::Algorithm;
pub use keys::{ApiKey, KeyError, KeyHash, KeyId, Pepper};
pub use ring::{KeyRecord, KeyRefusal, KeyRing};
pub use token::{TokenPolicy, TokenRefusal, TokenVerifier, Verified};
