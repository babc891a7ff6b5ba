-- The ten countries with the most orders today and yesterday, and what they are worth. Put a field
-- of your own in the place of country.
SELECT country, count(*) AS records, sum(amount) AS amount
FROM orders
WHERE dt >= date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
GROUP BY country
ORDER BY records DESC, country
LIMIT 10
