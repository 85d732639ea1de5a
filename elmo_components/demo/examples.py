"""Example sentences for the page, written for it: a word with two or three senses in each list."""

__all__ = ["TEXTS", "USES"]

TEXTS = (
    "Ms. Haag plays Elianti in New York. Her teacher, Tom Brennan, came from Dublin to hear it.",
    "The Danish firm Vestas has built a wind farm near Aberdeen for the city of Glasgow.",
    "Last May, Lena Ortiz left Siemens in Munich and joined a small laboratory in Lisbon.",
)

USES = {
    "bank": (
        "We moored the boat at the bank and walked through the reeds.",
        "The river had risen over its bank during the night.",
        "Willows grow along the left bank of the stream.",
        "She sat on the muddy bank and watched the water.",
        "The children slid down the bank into the shallow river.",
        "The bank has raised the interest on its loans.",
        "The bank refused the company a loan.",
        "Our bank closed its branch in the village.",
        "The bank lends to small companies at a low rate.",
        "The bank pays its customers two per cent.",
    ),
    "light": (
        "The light of the candle filled the small room.",
        "There was not enough light to read the letter.",
        "A pale light came through the window at dawn.",
        "The light from the lamp fell on the table.",
        "The bag was so light that a child could carry it.",
        "We had a light meal of bread and fruit.",
        "She wore a light coat in spite of the wind.",
        "A light rain fell in the afternoon.",
    ),
    "spring": (
        "The garden is full of flowers in spring.",
        "Last spring the snow melted late.",
        "They will marry in the spring of next year.",
        "The birds return each spring from the south.",
        "Water flows from a spring below the rocks.",
        "The village took its water from a spring in the hills.",
        "A hot spring rises near the foot of the mountain.",
        "The spring in the old clock was broken.",
        "A steel spring holds the door closed.",
    ),
    "match": (
        "Our team lost the match in the last minute.",
        "Rain stopped the match after an hour.",
        "The final match was played in Rome.",
        "Ten thousand people watched the match.",
        "He struck a match and lit the lamp.",
        "She held the match to the dry wood.",
        "The match burned down to his fingers.",
        "A single match was left in the box.",
    ),
    "cold": (
        "The water was too cold for a swim.",
        "It was a cold morning in January.",
        "A cold wind blew from the north.",
        "The soup was cold when he came home.",
        "She stayed in bed with a bad cold.",
        "He caught a cold on the journey.",
        "Half of the class has a cold this week.",
        "A cold usually ends after a few days.",
    ),
}
