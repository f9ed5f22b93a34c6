"""Log sources of clouds and of services that are used there: which events are of them, what their fields are called.

Sources: the public rules for the names that authors use; the exported fields of Elastic's integrations (aws, azure,
gcp, google_workspace, github, atlassian_bitbucket, okta, cisco_duo, o365, kubernetes) for where their values stand.
A name that a table does not have stands verbatim in the event, or below the prefix of its data set.
"""

from collections.abc import Mapping

from secmon.sigma.rule import LogSource
from secmon.sigma.source_shapes import Source, Table, fits, sent

# What requests and answers consist of stands below these, as the cloud calls it.
_AWS_ROOTS = {
    "requestParameters": "aws.cloudtrail.flattened.request_parameters",
    "responseElements": "aws.cloudtrail.flattened.response_elements",
    "additionalEventData": "aws.cloudtrail.flattened.additional_eventdata",
    "serviceEventDetails": "aws.cloudtrail.flattened.service_event_details",
}
_AWS_IDENTITY = "aws.cloudtrail.user_identity"

_AUDIT, _SIGN_IN = "azure.auditlogs", "azure.signinlogs"
_AUDITED, _SIGNED_IN = f"{_AUDIT}.properties", f"{_SIGN_IN}.properties"
# Authors call what was done by many names.
_ACTIVITY = (f"{_AUDIT}.operation_name", "event.action", f"{_AUDITED}.activity_display_name")
_AUDIT_LOGS: Table = {
    **dict.fromkeys(
        ("operationName", "OperationName", "ActivityDisplayName", "ActivityType", "activityType", "properties.message"),
        _ACTIVITY,
    ),
    **dict.fromkeys(("Category", "category"), (f"{_AUDITED}.category", f"{_AUDIT}.category")),
    **dict.fromkeys(("Status", "properties.result"), (f"{_AUDITED}.result", "event.outcome")),
    "LoggedByService": (f"{_AUDITED}.logged_by_service",),
}
_RESULT = (f"{_SIGN_IN}.result_type", f"{_SIGNED_IN}.status.error_code")
_SIGN_IN_LOGS: Table = {
    **dict.fromkeys(("ResultType", "resultType"), _RESULT),
    **dict.fromkeys(("ResultDescription", "Resultdescription"), (f"{_SIGN_IN}.result_description",)),
    **dict.fromkeys(
        ("AuthenticationRequirement", "properties.authenticationRequirement"),
        (f"{_SIGNED_IN}.authentication_requirement",),
    ),
    **dict.fromkeys(
        ("DeviceDetail.deviceId", "properties.deviceDetail.deviceId"), (f"{_SIGNED_IN}.device_detail.device_id",)
    ),
    "ClientApp": (f"{_SIGNED_IN}.client_app_used",),
    "DeviceDetail.isCompliant": (f"{_SIGNED_IN}.device_detail.is_compliant",),
    "DeviceDetail.trusttype": (f"{_SIGNED_IN}.device_detail.trust_type",),
    "ResourceDisplayName": (f"{_SIGNED_IN}.resource_display_name",),
    "RiskState": (f"{_SIGNED_IN}.risk_state",),
    "Status": ("event.outcome",),
    "Username": ("user.name", f"{_SIGNED_IN}.user_principal_name"),
    "callerIpAddress": ("source.ip",),
    "conditionalAccessStatus": (f"{_SIGNED_IN}.conditional_access_status",),
    "homeTenantId": (f"{_SIGNED_IN}.home_tenant_id",),
    "location": ("source.geo.country_iso_code", f"{_SIGNED_IN}.location"),
    "properties.appId": (f"{_SIGNED_IN}.app_id",),
    "resourceTenantId": (f"{_SIGNED_IN}.resource_tenant_id",),
    "userAgent": ("user_agent.original",),
}

_GCP: Table = {
    f"data.protoPayload.{name}": (f"gcp.audit.{to}",)
    for name, to in {
        "authorizationInfo.granted": "authorization_info.granted",
        "authorizationInfo.permission": "authorization_info.permission",
        "methodName": "method_name",
        "serviceName": "service_name",
    }.items()
}

_DEBUG = "okta.debug_context.debug_data"

_O365: Table = {
    "Operation": ("event.action",),
    "eventName": ("event.action", "rule.name"),
    "eventSource": ("event.provider", "o365.audit.Workload"),
    "status": ("event.outcome",),
}

CLOUDS: Mapping[LogSource, Source] = {
    LogSource("aws", service="cloudtrail"): sent(
        "aws.cloudtrail",
        eventName="event.action",
        eventSource="event.provider",
        eventType="aws.cloudtrail.event_type",
        errorCode="aws.cloudtrail.error_code",
        errorMessage="aws.cloudtrail.error_message",
        userAgent="user_agent.original",
        sourceIPAddress="source.ip",
        src_ip="source.ip",
        src_country=("source.geo.country_name", "source.geo.country_iso_code"),
        userIdentity__type=f"{_AWS_IDENTITY}.type",
        userIdentity__arn=f"{_AWS_IDENTITY}.arn",
        userIdentity__invokedBy=f"{_AWS_IDENTITY}.invoked_by",
        userIdentity__userName="user.name",
        userIdentity__sessionContext__sessionIssuer__type=f"{_AWS_IDENTITY}.session_context.session_issuer.type",
        userIdentity__sessionContext__sessionIssuer__arn=f"{_AWS_IDENTITY}.session_context.session_issuer.arn",
        requestParameters="aws.cloudtrail.request_parameters",
        responseElements="aws.cloudtrail.response_elements",
        roots=_AWS_ROOTS,
    ),
    LogSource("azure", service="activitylogs"): Source(
        (fits(event__dataset="azure.activitylogs"),),
        {
            **dict.fromkeys(
                ("operationName", "OperationNameValue"), ("azure.activitylogs.operation_name", "event.action")
            ),
            "CategoryValue": ("azure.activitylogs.category",),
            "ResourceId": ("azure.resource.id",),
            "ResourceProviderValue": ("azure.resource.provider",),
        },
        ("azure.activitylogs",),
    ),
    LogSource("azure", service="auditlogs"): Source((fits(event__dataset=_AUDIT),), _AUDIT_LOGS, (_AUDIT,)),
    LogSource("azure", service="signinlogs"): Source((fits(event__dataset=_SIGN_IN),), _SIGN_IN_LOGS, (_SIGN_IN,)),
    **{
        LogSource("azure", service=name): sent(
            "azure.identity_protection",
            "azure.riskdetection",
            "azure.pim",
            prefixes=("azure.identityprotection", "azure.identityprotection.properties"),
            riskEventType="azure.identityprotection.properties.risk_event_type",
        )
        for name in ("riskdetection", "pim")
    },
    LogSource("gcp", service="gcp.audit"): Source((fits(event__dataset="gcp.audit"),), _GCP, ("gcp.audit",)),
    **{
        LogSource("gcp", service=f"google_workspace.{name}"): sent(
            f"google_workspace.{name}",
            eventName="event.action",
            eventService="event.provider",
            new_value=f"google_workspace.{name}.new_value",
            setting_name=f"google_workspace.{name}.setting.name",
        )
        for name in ("admin", "login")
    },
    LogSource("github", service="audit"): sent("github.audit", action="event.action"),
    LogSource("bitbucket", service="audit"): sent(
        "bitbucket.audit",
        "atlassian_bitbucket.audit",
        auditType__action=("bitbucket.audit.type.action", "event.action"),
        auditType__category="bitbucket.audit.type.category",
    ),
    LogSource("okta", service="okta"): sent(
        "okta.system",
        prefixes=("okta",),
        eventType=("event.action", "okta.event_type"),
        displayMessage="okta.display_message",
        actor__alternateId="okta.actor.alternate_id",
        outcome__reason="okta.outcome.reason",
        outcome__result="okta.outcome.result",
        securityContext__isProxy="okta.security_context.is_proxy",
        target__displayName="okta.target.display_name",
        debugContext__debugData__requestUri=f"{_DEBUG}.request_uri",
        debugContext__debugData__behaviors=(f"{_DEBUG}.risk_behaviors", f"{_DEBUG}.flattened.behaviors"),
        debugContext__debugData__logOnlySecurityData=f"{_DEBUG}.flattened.logOnlySecurityData",
    ),
    LogSource("onelogin", service="onelogin.events"): sent("onelogin.events"),
    LogSource("cisco", service="duo"): Source(
        (fits(event__module=("cisco_duo", "duo")),),
        {"event_type": ("event.action",)},
        ("cisco_duo.auth", "cisco_duo.admin"),
    ),
    **{
        LogSource("m365", service=name): Source((fits(event__dataset="o365.audit"),), _O365, ("o365.audit",))
        for name in ("audit", "exchange", "threat_detection", "threat_management")
    },
    **{
        LogSource("kubernetes", category, "audit"): sent(
            "kubernetes.audit_logs",
            prefixes=("kubernetes.audit",),
            userAgent="user_agent.original",
            apiGroup="kubernetes.audit.objectRef.apiGroup",
        )
        for category in ("", "application")
    },
}
