-- Two snapshots of scores beside one another, a row a customer. The variables `before` and `now` name their files.
SELECT
    coalesce(n.customer_id, b.customer_id) AS customer_id,
    CASE WHEN b.customer_id IS NULL THEN 'came' WHEN n.customer_id IS NULL THEN 'went' ELSE 'stayed' END AS status,
    b.p_alive AS p_alive_before,
    n.p_alive AS p_alive_now,
    n.p_alive - b.p_alive AS p_alive_change,
    b.expected_clv AS clv_before,
    n.expected_clv AS clv_now,
    n.expected_clv - b.expected_clv AS clv_change
FROM read_parquet(getvariable('before')) AS b
FULL JOIN read_parquet(getvariable('now')) AS n ON b.customer_id = n.customer_id
ORDER BY clv_change NULLS LAST, customer_id
