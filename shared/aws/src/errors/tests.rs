use super::*;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::ErrorKind;

const CALL: &str = "ec2:CreateRoute";

fn raw(status: u16) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
}

fn answered(status: u16, code: &str, message: &str) -> PortError {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    classify(CALL, SdkError::<ErrorMetadata, _>::service_error(metadata, raw(status)))
}

#[test]
fn every_code_has_its_class() {
    let expected: [(Class, &[&str]); 8] = [
        (
            Class::Throttled,
            &[
                "BandwidthLimitExceeded",
                "ConcurrentSnapshotLimitExceeded",
                "EC2ThrottledException",
                "KMSThrottling",
                "PriorRequestNotComplete",
                "ProvisionedThroughputExceeded",
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "SlowDown",
                "SnapshotCreationPerVolumeRateExceeded",
                "Throttled",
                "ThrottledException",
                "Throttling",
                "ThrottlingError",
                "ThrottlingException",
                "TooManyRequestsException",
            ],
        ),
        (
            Class::NotFound,
            &[
                "InvalidRoute.NotFound",
                "InvalidRouteTableID.NotFound",
                "InvalidSnapshot.NotFound",
                "InvalidVpcPeeringConnectionID.NotFound",
                "InvalidVpcPeeringConnectionId.NotFound",
                "LoadBalancerNotFound",
                "NotFound",
                "NotFoundException",
                "ResourceNotFoundException",
                "TargetGroupNotFound",
            ],
        ),
        (
            Class::Conflict,
            &[
                "ConditionalCheckFailed",
                "ConditionalCheckFailedException",
                "DependencyViolation",
                "IncorrectState",
                "InvalidSnapshot.InUse",
                "InvalidStateTransition",
                "ReplicatedWriteConflictException",
                "ResourceInUse",
                "ResourceInUseException",
                "RouteAlreadyExists",
                "SnapshotLocked",
                "TransactionCanceledException",
                "TransactionConflict",
                "TransactionConflictException",
                "TransactionInProgressException",
            ],
        ),
        (
            Class::LimitReached,
            &[
                "ItemCollectionSizeLimitExceeded",
                "ItemCollectionSizeLimitExceededException",
                "LimitExceeded",
                "LimitExceededException",
                "PendingSnapshotLimitExceeded",
                "ResourceLimitExceeded",
                "RouteLimitExceeded",
                "SnapshotLimitExceeded",
                "TooManyRegistrationsForTargetId",
                "TooManyTargets",
                "VpcPeeringConnectionLimitExceeded",
            ],
        ),
        (
            Class::Denied,
            &[
                "AccessDenied",
                "AccessDeniedException",
                "AuthFailure",
                "AuthorizationError",
                "Blocked",
                "ExpiredToken",
                "ExpiredTokenException",
                "IncompleteSignature",
                "IncompleteSignatureException",
                "InvalidClientTokenId",
                "InvalidSecurity",
                "InvalidSignatureException",
                "KMSAccessDenied",
                "KMSOptInRequired",
                "MissingAuthenticationToken",
                "MissingAuthenticationTokenException",
                "NotAuthorized",
                "OptInRequired",
                "PendingVerification",
                "RequestExpired",
                "SignatureDoesNotMatch",
                "UnauthorizedOperation",
                "UnrecognizedClientException",
            ],
        ),
        (
            Class::Invalid,
            &[
                "DisabledException",
                "IdempotentParameterMismatchException",
                "InvalidAction",
                "InvalidArnException",
                "InvalidKeyUsageException",
                "InvalidParameter",
                "InvalidParameterCombination",
                "InvalidParameterValue",
                "InvalidRouteTableId.Malformed",
                "InvalidTarget",
                "KMSDisabled",
                "KMSInvalidState",
                "KMSInvalidStateException",
                "KMSNotFound",
                "MissingParameter",
                "ParameterValueInvalid",
                "SerializationException",
                "UnknownParameter",
                "ValidationError",
                "ValidationException",
            ],
        ),
        (
            Class::Unavailable,
            &[
                "DependencyTimeoutException",
                "HealthUnavailable",
                "InternalError",
                "InternalFailure",
                "InternalServerError",
                "KMSInternalException",
                "KeyUnavailableException",
                "ServiceUnavailable",
                "Unavailable",
            ],
        ),
        (Class::TimedOut, &["RequestTimeout", "RequestTimeoutException"]),
    ];
    for (class, codes) in expected {
        for &code in codes {
            // A status of another class: it is the code that decides.
            let status = if class == Class::Unavailable { 400 } else { 500 };
            let error = answered(status, code, "some words");
            assert_eq!(error, PortError { call: CALL, class, code: code.to_owned(), message: "some words".to_owned() });
        }
    }
}

#[test]
fn two_codes_have_two_meanings() {
    let inside = "The IP address '10.0.0.5' is within the VPC, and cannot have its Availability Zone overridden to \
                  'all' from 'us-east-1a'";
    let no_route = "There is no route defined for '10.9.0.0/16' in the route table. Use CreateRoute instead.";
    assert_eq!(answered(400, "ValidationError", inside).class, Class::InsideVpc);
    assert_eq!(answered(400, "ValidationError", "A target group ARN must be specified").class, Class::Invalid);
    assert_eq!(answered(400, "AccessDenied", inside).class, Class::Denied);
    assert_eq!(answered(400, "InvalidParameterValue", no_route).class, Class::NotFound);
    assert_eq!(answered(400, "InvalidParameterValue", "vpc peering rtb-1 is not active").class, Class::Invalid);
    assert_eq!(answered(403, "UnauthorizedOperation", no_route).class, Class::Denied);
}

#[test]
fn an_unknown_code_counts_by_its_status() {
    for (status, class) in [
        (400, Class::Invalid),
        (401, Class::Denied),
        (403, Class::Denied),
        (404, Class::NotFound),
        (408, Class::TimedOut),
        (409, Class::Conflict),
        (429, Class::Throttled),
        (500, Class::Unavailable),
        (503, Class::Unavailable),
    ] {
        let error = answered(status, "SomethingNew", "words");
        assert_eq!((error.class, error.code.as_str()), (class, "SomethingNew"), "{status}");
        let nameless = classify(CALL, SdkError::service_error(ErrorMetadata::builder().build(), raw(status)));
        assert_eq!((nameless.class, nameless.code), (class, format!("Http{status}")));
    }
}

#[test]
fn no_answer_is_classified_by_how_far_the_call_came() {
    type E = SdkError<ErrorMetadata, HttpResponse>;
    let failure = |error: E| {
        let PortError { class, code, message, .. } = classify(CALL, error);
        assert!(message.ends_with("the cause"), "{message}");
        (class, code)
    };
    let cause = || "the cause".into();
    let expected = |class, code: &str| (class, code.to_owned());
    assert_eq!(failure(E::construction_failure("the cause")), expected(Class::Invalid, "RequestNotBuilt"));
    assert_eq!(failure(E::timeout_error("the cause")), expected(Class::TimedOut, "TimedOut"));
    let dispatch = |error| failure(E::dispatch_failure(error));
    assert_eq!(dispatch(ConnectorError::timeout(cause())), expected(Class::TimedOut, "TimedOut"));
    assert_eq!(dispatch(ConnectorError::io(cause())), expected(Class::Disconnected, "ConnectionFailed"));
    let other = ConnectorError::other(cause(), Some(ErrorKind::TransientError));
    assert_eq!(dispatch(other), expected(Class::Unavailable, "NotSent"));
    let response = |status| failure(E::response_error("the cause", raw(status)));
    assert_eq!(response(200), expected(Class::Malformed, "MalformedAnswer"));
    assert_eq!(response(403), expected(Class::Denied, "Http403"));
    assert_eq!(response(429), expected(Class::Throttled, "Http429"));
    assert_eq!(response(502), expected(Class::Unavailable, "Http502"));
}

#[test]
fn only_not_found_is_a_removal() {
    assert_eq!(removed(Err(answered(400, "InvalidRoute.NotFound", ""))), Ok(()));
    for code in ["AccessDenied", "Throttling", "InternalError", "InvalidTarget"] {
        assert!(removed(Err(answered(400, code, ""))).is_err(), "{code}");
    }
}
