-- What was seen. A run is written once or, when a shipment's fate was unknown, twice with the same
-- key: the engine and every query keep one. {retention_days} is filled in when the table is made.
CREATE TABLE IF NOT EXISTS check_results (
    project_id    UUID,
    check_id      UUID,
    region        LowCardinality(String),
    slot          DateTime64(3, 'UTC') CODEC(DoubleDelta, LZ4),
    slots         UInt32 CODEC(T64, LZ4),
    outcome       LowCardinality(String),
    reason        LowCardinality(String),
    attempt       UInt32 CODEC(T64, LZ4),
    started_at    DateTime64(3, 'UTC') CODEC(DoubleDelta, LZ4),
    status_code   UInt16 CODEC(T64, LZ4),
    dns_us        UInt32 CODEC(T64, LZ4),
    connect_us    UInt32 CODEC(T64, LZ4),
    tls_us        UInt32 CODEC(T64, LZ4),
    first_byte_us UInt32 CODEC(T64, LZ4),
    total_us      UInt32 CODEC(T64, LZ4),
    address       LowCardinality(String),
    error         String
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(slot)
ORDER BY (project_id, check_id, slot, region)
TTL toDateTime(slot) + INTERVAL {retention_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- Sums by minute, hour and day, with latencies as digests that can be merged.
CREATE TABLE IF NOT EXISTS check_metrics (
    project_id    UUID,
    check_id      UUID,
    resolution_s  UInt32,
    bucket        DateTime('UTC'),
    region        LowCardinality(String),
    ok            SimpleAggregateFunction(sum, UInt64),
    failed        SimpleAggregateFunction(sum, UInt64),
    inconclusive  SimpleAggregateFunction(sum, UInt64),
    missed        SimpleAggregateFunction(sum, UInt64),
    latency_us    SimpleAggregateFunction(sum, UInt64),
    latency_count SimpleAggregateFunction(sum, UInt64),
    latency       AggregateFunction(quantilesTDigestIf(0.5, 0.95, 0.99), UInt32, UInt8)
) ENGINE = AggregatingMergeTree
PARTITION BY (resolution_s, toYYYYMM(bucket))
ORDER BY (project_id, check_id, resolution_s, bucket, region)
TTL bucket + INTERVAL 2 DAY DELETE WHERE resolution_s = 60,
    bucket + INTERVAL 90 DAY DELETE WHERE resolution_s = 3600,
    bucket + INTERVAL 800 DAY DELETE WHERE resolution_s = 86400
SETTINGS non_replicated_deduplication_window = 10000;

-- Only an answer has a latency: a refused connection is fast, and says nothing of speed.
CREATE MATERIALIZED VIEW IF NOT EXISTS check_results_to_metrics TO check_metrics AS
SELECT
    project_id,
    check_id,
    arrayJoin([60, 3600, 86400])::UInt32 AS resolution_s,
    toDateTime(intDiv(toUnixTimestamp(slot), resolution_s) * resolution_s, 'UTC') AS bucket,
    region,
    sumIf(toUInt64(slots), outcome = 'ok') AS ok,
    sumIf(toUInt64(slots), outcome = 'fail') AS failed,
    sumIf(toUInt64(slots), outcome = 'inconclusive') AS inconclusive,
    sumIf(toUInt64(slots), outcome = 'missed') AS missed,
    sumIf(toUInt64(total_us), status_code > 0) AS latency_us,
    toUInt64(countIf(status_code > 0)) AS latency_count,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(total_us, status_code > 0) AS latency
FROM check_results
GROUP BY project_id, check_id, resolution_s, bucket, region;
