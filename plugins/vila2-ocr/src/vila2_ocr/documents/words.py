"""The words that drawn documents are made of."""

NAMES = tuple(
    [
        "Adams",
        "Baker",
        "Clarke",
        "Dixon",
        "Evans",
        "Foster",
        "Grant",
        "Hughes",
        "Irving",
        "Jones",
        "Keller",
        "Lopez",
        "Morgan",
        "Nolan",
        "Osborne",
    ]
)
CITIES = tuple(
    [
        "Athens",
        "Bergen",
        "Cairo",
        "Dublin",
        "Geneva",
        "Hanoi",
        "Jakarta",
        "Lisbon",
        "Madrid",
        "Nairobi",
        "Oslo",
        "Prague",
        "Quito",
        "Rome",
        "Seoul",
    ]
)
COLOURS = tuple(
    [
        "Amber",
        "Bronze",
        "Coral",
        "Ivory",
        "Jade",
        "Khaki",
        "Lilac",
        "Maroon",
        "Navy",
        "Olive",
        "Pearl",
        "Ruby",
        "Silver",
        "Teal",
        "Violet",
    ]
)
ITEMS = (
    "Apple juice", "Bath soap", "Black tea", "Bread roll", "Butter", "Candles", "Cheese slices",
    "Cotton wool", "Dish brush", "Egg tray", "Fish fillet", "Garden hose", "Green beans", "Hand cream",
    "Honey jar", "Ink pen", "Lamp oil", "Milk powder", "Notebook A5", "Olive oil", "Paper bag", "Rice 5 kg",
    "Sea salt", "Tomato paste", "Umbrella", "Yoghurt",
)  # fmt: skip
SHOPS = ("Bakery", "Books", "Foods", "Hardware", "Market", "Pharmacy", "Stationery", "Trading", "Wholesale")
STREETS = (
    "Bridge Road",
    "Castle Lane",
    "Dock Street",
    "Elm Avenue",
    "Forest Drive",
    "Harbour Way",
    "Mill Row",
)
TOPICS = ("Sales", "Orders", "Visits", "Output", "Points", "Stock", "Exports", "Members", "Tickets", "Pages")
NOTICES = (
    "Bus stop", "Closed today", "Exit", "Fire exit", "Keep left", "Library", "Mind the step", "Museum",
    "No entry", "No parking", "Open", "Platform", "Push", "Reception", "School", "Slow", "Stop", "Taxi",
    "Tickets", "Way out",
)  # fmt: skip
