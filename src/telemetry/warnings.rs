//! What is said once a layer, of how it is set up.

use tracing::warn;

/// Said once a layer: the likeliest mistake of all.
pub(crate) fn warn_no_secret() {
    warn!(
        target: "tower_resume",
        "no secret is configured: streams pass as they are and cannot be resumed. Give ResumeLayer its Keys, or set \
         SSE_RESUME_SECRET where it is made by from_env"
    );
}

/// Said once a layer that looks at nobody's key.
pub(crate) fn warn_keys_of_nobody() {
    warn!(
        target: "tower_resume",
        "idempotency is on, but nothing says whose a key is, so no Idempotency-Key is looked at: set \
         ResumeLayer::principal_with or ResumeLayer::authorize_with, or Idempotency::shared_keys if whoever brings a key \
         may join its stream"
    );
}

/// Said once a layer: what it means that nobody is asked who they are.
pub(crate) fn warn_no_principal() {
    warn!(
        target: "tower_resume",
        "no principal rule and no authorisation hook: whoever holds a stream's token can read that stream until the \
         token expires. Set ResumeLayer::principal_with or ResumeLayer::authorize_with, or \
         ResumeLayer::tokens_are_enough if that is what you want"
    );
}
