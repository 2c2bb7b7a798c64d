"""Notices: one text for pages and command line."""

RESPONSIBLE_USE = (
  'A motion of the face does not say what a person feels, means or hides. For'
  ' research only: not for screening, hiring, policing, teaching or monitoring'
  ' people, and only on recordings of people who have agreed. In the European'
  ' Union, inferring emotions at work and in education is prohibited (AI Act,'
  ' Regulation 2024/1689, Article 5(1)(f)).'
)
# Of a model that was trained on generated people.
GENERATED = (
  'The probabilities were calibrated on generated people. On real people the'
  ' model is right less often than they say.'
)
