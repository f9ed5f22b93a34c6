"""Which fields ECS marks as array: they always hold a list.

Taken from generated/csv/fields.csv (column Normalization) of the Elastic Common Schema, 9.5.0-dev,
github.com/elastic/ecs at b85f7573, Apache-2.0 (NOTICE names it).
"""

from functools import lru_cache

_ARRAYS = frozenset(
    """
    client.user.roles container.image.hash.all container.image.tag destination.user.roles dll.pe.imports
    dll.pe.sections dns.answers dns.header_flags dns.resolved_ip email.attachments email.bcc.address
    email.cc.address email.from.address email.reply_to.address email.to.address event.category event.type
    file.attributes file.elf.exports file.elf.imports file.elf.sections file.elf.segments
    file.elf.shared_libraries file.macho.imports file.macho.sections file.pe.imports file.pe.sections
    file.x509.alternative_names file.x509.issuer.common_name file.x509.issuer.country file.x509.issuer.locality
    file.x509.issuer.organization file.x509.issuer.organizational_unit file.x509.issuer.state_or_province
    file.x509.subject.common_name file.x509.subject.country file.x509.subject.locality
    file.x509.subject.organization file.x509.subject.organizational_unit file.x509.subject.state_or_province
    host.ip host.mac host.target.ip host.target.mac observer.ip observer.mac orchestrator.resource.annotation
    orchestrator.resource.ip orchestrator.resource.label process.args process.elf.exports process.elf.imports
    process.elf.sections process.elf.segments process.elf.shared_libraries process.entry_leader.args
    process.env_vars process.group_leader.args process.io.bytes_skipped process.macho.imports
    process.macho.sections process.parent.args process.parent.elf.exports process.parent.elf.imports
    process.parent.elf.sections process.parent.elf.segments process.parent.elf.shared_libraries
    process.parent.macho.imports process.parent.macho.sections process.parent.pe.imports
    process.parent.pe.sections process.parent.thread.capabilities.effective
    process.parent.thread.capabilities.permitted process.pe.imports process.pe.sections process.previous.args
    process.session_leader.args process.thread.capabilities.effective process.thread.capabilities.permitted
    registry.data.strings related.hash related.hosts related.ip related.user rule.author server.user.roles
    service.node.roles service.origin.node.roles service.target.node.roles source.user.roles tags
    threat.enrichments threat.enrichments.indicator.file.attributes
    threat.enrichments.indicator.file.elf.exports threat.enrichments.indicator.file.elf.imports
    threat.enrichments.indicator.file.elf.sections threat.enrichments.indicator.file.elf.segments
    threat.enrichments.indicator.file.elf.shared_libraries threat.enrichments.indicator.file.pe.imports
    threat.enrichments.indicator.file.pe.sections threat.enrichments.indicator.file.x509.alternative_names
    threat.enrichments.indicator.file.x509.issuer.common_name
    threat.enrichments.indicator.file.x509.issuer.country threat.enrichments.indicator.file.x509.issuer.locality
    threat.enrichments.indicator.file.x509.issuer.organization
    threat.enrichments.indicator.file.x509.issuer.organizational_unit
    threat.enrichments.indicator.file.x509.issuer.state_or_province
    threat.enrichments.indicator.file.x509.subject.common_name
    threat.enrichments.indicator.file.x509.subject.country
    threat.enrichments.indicator.file.x509.subject.locality
    threat.enrichments.indicator.file.x509.subject.organization
    threat.enrichments.indicator.file.x509.subject.organizational_unit
    threat.enrichments.indicator.file.x509.subject.state_or_province
    threat.enrichments.indicator.registry.data.strings threat.enrichments.indicator.x509.alternative_names
    threat.enrichments.indicator.x509.issuer.common_name threat.enrichments.indicator.x509.issuer.country
    threat.enrichments.indicator.x509.issuer.locality threat.enrichments.indicator.x509.issuer.organization
    threat.enrichments.indicator.x509.issuer.organizational_unit
    threat.enrichments.indicator.x509.issuer.state_or_province
    threat.enrichments.indicator.x509.subject.common_name threat.enrichments.indicator.x509.subject.country
    threat.enrichments.indicator.x509.subject.locality threat.enrichments.indicator.x509.subject.organization
    threat.enrichments.indicator.x509.subject.organizational_unit
    threat.enrichments.indicator.x509.subject.state_or_province threat.group.alias
    threat.indicator.file.attributes threat.indicator.file.elf.exports threat.indicator.file.elf.imports
    threat.indicator.file.elf.sections threat.indicator.file.elf.segments
    threat.indicator.file.elf.shared_libraries threat.indicator.file.pe.imports
    threat.indicator.file.pe.sections threat.indicator.file.x509.alternative_names
    threat.indicator.file.x509.issuer.common_name threat.indicator.file.x509.issuer.country
    threat.indicator.file.x509.issuer.locality threat.indicator.file.x509.issuer.organization
    threat.indicator.file.x509.issuer.organizational_unit threat.indicator.file.x509.issuer.state_or_province
    threat.indicator.file.x509.subject.common_name threat.indicator.file.x509.subject.country
    threat.indicator.file.x509.subject.locality threat.indicator.file.x509.subject.organization
    threat.indicator.file.x509.subject.organizational_unit threat.indicator.file.x509.subject.state_or_province
    threat.indicator.id threat.indicator.registry.data.strings threat.indicator.x509.alternative_names
    threat.indicator.x509.issuer.common_name threat.indicator.x509.issuer.country
    threat.indicator.x509.issuer.locality threat.indicator.x509.issuer.organization
    threat.indicator.x509.issuer.organizational_unit threat.indicator.x509.issuer.state_or_province
    threat.indicator.x509.subject.common_name threat.indicator.x509.subject.country
    threat.indicator.x509.subject.locality threat.indicator.x509.subject.organization
    threat.indicator.x509.subject.organizational_unit threat.indicator.x509.subject.state_or_province
    threat.software.alias threat.software.platforms threat.tactic.id threat.tactic.name threat.tactic.reference
    threat.technique.id threat.technique.name threat.technique.reference threat.technique.subtechnique.id
    threat.technique.subtechnique.name threat.technique.subtechnique.reference tls.client.certificate_chain
    tls.client.supported_ciphers tls.client.x509.alternative_names tls.client.x509.issuer.common_name
    tls.client.x509.issuer.country tls.client.x509.issuer.locality tls.client.x509.issuer.organization
    tls.client.x509.issuer.organizational_unit tls.client.x509.issuer.state_or_province
    tls.client.x509.subject.common_name tls.client.x509.subject.country tls.client.x509.subject.locality
    tls.client.x509.subject.organization tls.client.x509.subject.organizational_unit
    tls.client.x509.subject.state_or_province tls.server.certificate_chain tls.server.x509.alternative_names
    tls.server.x509.issuer.common_name tls.server.x509.issuer.country tls.server.x509.issuer.locality
    tls.server.x509.issuer.organization tls.server.x509.issuer.organizational_unit
    tls.server.x509.issuer.state_or_province tls.server.x509.subject.common_name tls.server.x509.subject.country
    tls.server.x509.subject.locality tls.server.x509.subject.organization
    tls.server.x509.subject.organizational_unit tls.server.x509.subject.state_or_province user.changes.roles
    user.effective.roles user.roles user.target.roles vulnerability.category
    """.split()  # noqa: SIM905  a block of words is read more easily than a list of quotes
)

# The fields of an entity are reused below many others: `host.entity.…`, `user.target.entity.…`.
_ENTITY_ARRAYS = frozenset(
    """
    attributes.known_redirects attributes.permissions relationships.administers.entity.id
    relationships.administers.host.id relationships.administers.host.name relationships.administers.service.id
    relationships.administers.service.name relationships.administers.user.domain
    relationships.administers.user.email relationships.administers.user.id relationships.administers.user.name
    relationships.depends_on.entity.id relationships.depends_on.host.id relationships.depends_on.host.name
    relationships.depends_on.service.id relationships.depends_on.service.name
    relationships.depends_on.user.domain relationships.depends_on.user.email relationships.depends_on.user.id
    relationships.depends_on.user.name relationships.owns.entity.id relationships.owns.host.id
    relationships.owns.host.name relationships.owns.service.id relationships.owns.service.name
    relationships.owns.user.domain relationships.owns.user.email relationships.owns.user.id
    relationships.owns.user.name relationships.supervises.entity.id relationships.supervises.host.id
    relationships.supervises.host.name relationships.supervises.service.id relationships.supervises.service.name
    relationships.supervises.user.domain relationships.supervises.user.email relationships.supervises.user.id
    relationships.supervises.user.name type
    """.split()  # noqa: SIM905  a block of words is read more easily than a list of quotes
)


@lru_cache(maxsize=8192)
def is_array(name: str) -> bool:
    """Tell whether a field always holds a list: it, or an array of objects that it is a member of."""
    if name in _ARRAYS:
        return True
    if "entity." in name:
        return name.partition("entity.")[2].removeprefix("target.") in _ENTITY_ARRAYS
    above = name.rpartition(".")[0]
    return bool(above) and is_array(above)
