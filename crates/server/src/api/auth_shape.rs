//! Who asks, as JSON.

use pulse_core::models::probe_spec::Auth;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a probe says who asks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Auth)]
pub enum AuthShape {
    /// A name and a password.
    Basic {
        /// Without a colon.
        username: String,
        /// Shown as `***`.
        password: String,
    },
    /// A token.
    Bearer {
        /// Shown as `***`.
        token: String,
    },
    /// A token that a token server gives out (RFC 6749, section 4.4), for http, https, grpc, grpcs, ws and wss.
    Oauth2 {
        /// Where tokens are to be had: `http://` or `https://`, no credentials.
        #[schema(example = "https://id.example/oauth/token")]
        token_url: String,
        /// Who asks.
        client_id: String,
        /// Shown as `***`.
        client_secret: String,
        /// What the token is to be good for.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom it is to be shown to.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Where the client says who it is: `basic`, in a header, or `body`. `basic` when left out.
        #[schema(required = false)]
        credentials: String,
    },
}

impl From<Auth> for AuthShape {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Basic { username, password } => Self::Basic { username, password },
            Auth::Bearer { token } => Self::Bearer { token },
            Auth::Oauth2(client) => Self::Oauth2 {
                token_url: client.token_url,
                client_id: client.client_id,
                client_secret: client.client_secret,
                scope: client.scope,
                audience: client.audience,
                credentials: client.credentials.as_str().to_owned(),
            },
        }
    }
}
