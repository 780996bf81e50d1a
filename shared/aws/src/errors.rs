//! What AWS's error codes mean. Nobody else looks at a code or at a message, but for `table` at DynamoDB's conditions,
//! which are answers more than errors.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ports::{Class, PortError};

/// The error of a call, classified by the service's code, or where there is none by how far the call came.
/// `call` is its name as IAM has it, for example `ec2:CreateRoute`.
pub fn classify<E>(call: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (class, code, message) = match &error {
        SdkError::ConstructionFailure(_) => (Class::Invalid, "RequestNotBuilt".to_owned(), chain(&error)),
        SdkError::TimeoutError(_) => (Class::TimedOut, "TimedOut".to_owned(), chain(&error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (Class::TimedOut, "TimedOut".to_owned(), chain(&error))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            (Class::Disconnected, "ConnectionFailed".to_owned(), chain(&error))
        }
        // Missing credentials and a missing Region come here too.
        SdkError::DispatchFailure(_) => (Class::Unavailable, "NotSent".to_owned(), chain(&error)),
        SdkError::ResponseError(answer) => nameless(answer.raw().status().as_u16(), &error),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let message = answer.err().message().unwrap_or_default();
            match answer.err().code() {
                Some(code) => (class_of(code, message, status), code.to_owned(), message.to_owned()),
                None => nameless(status, &error),
            }
        }
        _ => (Class::Unavailable, "Unknown".to_owned(), chain(&error)),
    };
    PortError { call, class, code, message }
}

/// An answer that could not be read: a proxy's page, or one that breaks off.
fn nameless(status: u16, error: &(dyn Error + 'static)) -> (Class, String, String) {
    let code = if status < 300 { "MalformedAnswer".to_owned() } else { format!("Http{status}") };
    (class_of_status(status), code, chain(error))
}

/// The class of a code, as one of the services that are called here sends it. Codes from the error pages of each
/// service's API reference and from EC2's list of error codes (`errors-overview`).
pub(crate) fn class_of(code: &str, message: &str, status: u16) -> Class {
    match code {
        // The one code that ELB has for two meanings: the AWS Load Balancer Controller, issue 561, has the words.
        "ValidationError" if message.contains("cannot have its Availability Zone overridden to 'all'") => {
            Class::InsideVpc
        }
        // The answer of ReplaceRoute where there is no such route (checked against AWS in moto's pull request 6425);
        // every other call has `InvalidRoute.NotFound` for that.
        "InvalidParameterValue" if message.starts_with("There is no route defined for") => Class::NotFound,
        // Auto Scaling has this one code for every refusal. An action that is over, or that its hook does not accept yet, reads
        // "No active Lifecycle Action found with token ..." or "... with instance ID ..."; an instance that is gone, "not found".
        "ValidationError" if message.contains("No active Lifecycle Action found") => Class::NotFound,
        "ValidationError" if message.starts_with("Instance Id not found") => Class::NotFound,

        // Five pending snapshots of one volume, and two within 15 s: both pass by themselves.
        "BandwidthLimitExceeded"
        | "ConcurrentSnapshotLimitExceeded"
        | "EC2ThrottledException"
        | "KMSThrottling"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceeded"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "Throttled"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingError"
        | "ThrottlingException"
        | "TooManyRequestsException" => Class::Throttled,

        // An instance without an agent, and a command that is too young or too old (Systems Manager).
        "InvalidInstanceId" | "InvocationDoesNotExist" => Class::NotFound,

        "LoadBalancerNotFound"
        | "NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "TargetGroupNotFound" => Class::NotFound,

        "ConditionalCheckFailed"
        | "ConditionalCheckFailedException"
        | "DependencyViolation"
        | "IncorrectState"
        | "InvalidSnapshot.InUse"
        | "InvalidStateTransition"
        | "ReplicatedWriteConflictException"
        | "ResourceContention"
        | "ResourceContentionFault"
        | "ResourceInUse"
        | "ResourceInUseException"
        | "RouteAlreadyExists"
        | "ScalingActivityInProgress"
        | "ScalingActivityInProgressFault"
        | "SnapshotLocked"
        | "TransactionCanceledException"
        | "TransactionConflict"
        | "TransactionConflictException"
        | "TransactionInProgressException"
        | "VolumeInUse" => Class::Conflict,

        "ItemCollectionSizeLimitExceeded"
        | "ItemCollectionSizeLimitExceededException"
        | "LimitExceeded"
        | "LimitExceededException"
        | "PendingSnapshotLimitExceeded"
        | "ResourceLimitExceeded"
        | "RouteLimitExceeded"
        | "SnapshotLimitExceeded"
        | "TooManyRegistrationsForTargetId"
        | "TooManyTargets" => Class::LimitReached,

        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "AuthorizationError"
        | "Blocked"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "KMSAccessDenied"
        | "KMSOptInRequired"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "PendingVerification"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException" => Class::Denied,

        "DisabledException"
        | "IdempotentParameterMismatchException"
        | "InvalidAction"
        | "InvalidArnException"
        | "InvalidKeyUsageException"
        | "InvalidParameter"
        | "InvalidParameterCombination"
        | "InvalidParameterValue"
        | "InvalidTarget"
        | "KMSDisabled"
        | "KMSInvalidState"
        | "KMSInvalidStateException"
        | "KMSNotFound"
        | "MissingParameter"
        | "ParameterValueInvalid"
        | "SerializationException"
        | "UnknownParameter"
        | "ValidationError"
        | "ValidationException" => Class::Invalid,

        "DependencyTimeoutException"
        | "HealthUnavailable"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "ServiceUnavailable"
        | "Unavailable" => Class::Unavailable,

        "RequestTimeout" | "RequestTimeoutException" => Class::TimedOut,

        // EC2's families: InvalidRouteTableID.NotFound, InvalidVpcPeeringConnectionId.Malformed, ...
        _ if code.ends_with(".NotFound") => Class::NotFound,
        _ if code.ends_with(".Malformed") => Class::Invalid,
        _ if code.ends_with("LimitExceeded") => Class::LimitReached,
        _ => class_of_status(status),
    }
}

/// The class of an answer that has nothing but its HTTP status.
pub(crate) fn class_of_status(status: u16) -> Class {
    match status {
        401 | 403 => Class::Denied,
        404 => Class::NotFound,
        408 => Class::TimedOut,
        409 | 412 => Class::Conflict,
        429 => Class::Throttled,
        500.. => Class::Unavailable,
        300..500 => Class::Invalid,
        _ => Class::Malformed,
    }
}

/// Not found on removal is success.
pub fn removed(result: Result<(), PortError>) -> Result<(), PortError> {
    match result {
        Err(error) if error.class == Class::NotFound => Ok(()),
        other => other,
    }
}

/// Whether EC2 refused an id for its form. Nothing can have that id.
#[must_use]
pub fn is_malformed_id(error: &PortError) -> bool {
    error.code.ends_with(".Malformed")
}

/// Whether ELB refused a target that it does not know. On a registration the same code says that the address lies
/// outside what the target group can reach (`API_RegisterTargets`), so only a deregistration may ask this.
#[must_use]
pub fn is_not_registered(error: &PortError) -> bool {
    error.code == "InvalidTarget"
}

/// An error and its causes in one line: the SDK's own words for the outermost one are only "dispatch failure".
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
