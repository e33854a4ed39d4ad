//! RENEW: a newer UserSig for the session.

use tim_proto::ErrorCode;
use tim_proto::request::{Renew, RenewResponse};

use super::{Handled, Reply};
use crate::client_context::{ClientContext, Expiry};
use crate::refusal::Refusal;
use crate::service::Services;

pub(super) fn renew<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Renew<'a>,
) -> Handled<Renew<'a>> {
    let now_s = services.now_ms() / 1000;
    let claims = services
        .settings
        .verify(&client.user(), request.user_sig, now_s)
        .map_err(|error| Refusal::new(ErrorCode(error.code()), error.to_string()))?;
    services.check_admitted(&client.user(), claims.issued)?;
    client.issued_s = claims.issued;
    client.expiry = Expiry::at(&services.options.clock, claims.expires);
    Reply::now(&RenewResponse::new(claims.expires))
}
