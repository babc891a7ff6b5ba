-- Records by day and hour (UTC), of today and yesterday. An hour that is missing or thin between
-- others is one to look at.
-- dt in the WHERE keeps Athena from listing every day there has been.
SELECT dt, hour, count(*) AS records
FROM orders
WHERE dt >= date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
GROUP BY dt, hour
ORDER BY dt DESC, hour DESC
