"""The store beyond one machine: Elasticsearch 8.19 and newer, by what its free core offers (docs/elasticsearch.md)."""
