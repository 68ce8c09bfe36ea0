"""An invented handyman business (in London, where BUSINESS_COUNTRY is GB), for looking around and for tests."""

from datetime import date, datetime, time, timedelta

from django.db import transaction

from bookings import country, postcodes
from bookings import phone as phones
from bookings.models import (
    Assurance,
    Booking,
    Handyman,
    Holiday,
    Notification,
    Pricing,
    Review,
    Service,
    ServiceArea,
    TimeOff,
    Weekday,
    WorkingHours,
)
from bookings.scheduling import history
from bookings.slots import calendars, rules

FIXED, HOURLY, QUOTE = Pricing.FIXED, Pricing.HOURLY, Pricing.QUOTE

# slug, name, group, summary, description, minutes, buffer, pricing, pence, minimum minutes
_SERVICES = (
    (
        "tap-repair", "Tap repair or replacement", "Plumbing",
        "A tap that drips, sticks or has had its day, put right in one visit.",
        "We isolate the water, repair or replace the tap and leave the sink dry and clean. Washers and cartridges for "
        "common taps are on the van. For a new tap, choose one before the visit or ask us to bring it at cost.",
        60, 30, FIXED, 8500, 0,
    ),
    (
        "blocked-drain", "Blocked sink or drain", "Plumbing",
        "Kitchen, bathroom or shower waste cleared and flushed through.",
        "We clear the trap and the pipe as far as a hand-driven auger reaches, check for leaks and flush it through. "
        "If the blockage sits deeper, in the main drain, we say so and charge the first hour only.",
        60, 30, HOURLY, 7200, 60,
    ),
    (
        "light-fitting", "Light fitting change", "Electrical",
        "A ceiling or wall light swapped for the one you chose, tested and switched on.",
        "Like-for-like replacement on an existing circuit. We test the circuit before and after and take the old "
        "fitting away if you like.",
        60, 30, FIXED, 7500, 0,
    ),
    (
        "smart-doorbell", "Smart doorbell or thermostat", "Electrical",
        "Mounted, wired, on your Wi-Fi and explained.",
        "We fit the device, connect it to your network and stay until it works on your phone. Please have your Wi-Fi "
        "password to hand.",
        90, 30, FIXED, 9900, 0,
    ),
    (
        "door-repair", "Door hanging and repair", "Carpentry",
        "Doors that stick, drop or will not shut, eased, rehung or replaced.",
        "We plane, adjust hinges and keeps, or hang a new internal door. Tell us in the notes how many doors there are "
        "and what they do wrong.",
        120, 30, HOURLY, 6000, 120,
    ),
    (
        "shelves", "Shelves and pictures", "Mounting",
        "Straight, level and safe on brick, stud or plasterboard.",
        "Shelves, mirrors, pictures, curtain rails and blinds. We bring fixings for every kind of wall and check for "
        "pipes and cables before we drill.",
        90, 30, HOURLY, 5600, 60,
    ),
    (
        "tv-mounting", "TV on the wall", "Mounting",
        "Bracket fixed, screen hung and cables hidden in trunking.",
        "Any screen up to 85 inches, on a bracket of yours or one we bring at cost. Tell us the size and the kind of "
        "wall in the notes.",
        90, 30, FIXED, 11000, 0,
    ),
    (
        "flat-pack", "Flat-pack assembly", "Assembly",
        "Wardrobes, beds, desks and kitchen units, built square and made safe.",
        "Send us the product names in the notes, so that we bring the right tools and plan enough time. Tall furniture "
        "is fixed to the wall. Packaging goes in your recycling.",
        120, 30, HOURLY, 5200, 120,
    ),
    (
        "room-painting", "Painting a room", "Painting",
        "Filled, sanded and two coats, with everything covered first.",
        "A visit to look, measure and talk about colours. You get a written quote within two working days; the visit "
        "itself is free.",
        45, 30, QUOTE, 0, 0,
    ),
    (
        "gutter-cleaning", "Gutter cleaning", "Outdoors",
        "Leaves out, joints checked, downpipes running, up to two storeys.",
        "For a terraced or semi-detached house with access to the front and back. We send a photo of the clean gutter.",
        120, 45, FIXED, 12500, 0,
    ),
)  # fmt: skip

_DEPOSITS = {"tv-mounting": 3000, "gutter-cleaning": 2500}  # asked for when payments are on

# slug, name, what they say of themselves, services (all when empty), working days and hours
_WEEKDAYS = (Weekday.MONDAY, Weekday.TUESDAY, Weekday.WEDNESDAY, Weekday.THURSDAY, Weekday.FRIDAY)
_LATE_WEEK = (Weekday.WEDNESDAY, Weekday.THURSDAY, Weekday.FRIDAY, Weekday.SATURDAY)
_HANDYMEN = (
    (
        "amara", "Amara Okafor", "Plumber by trade, fifteen years in London's pipes.",
        ("tap-repair", "blocked-drain", "door-repair", "shelves", "gutter-cleaning"),
        [(day, time(8), time(17)) for day in _WEEKDAYS],
    ),
    (
        "tomasz", "Tomasz Nowak", "Qualified electrician. Never leaves without testing.",
        ("light-fitting", "smart-doorbell", "tv-mounting", "shelves"),
        [(day, time(9), time(18)) for day in _WEEKDAYS],
    ),
    (
        "grace", "Grace Bennett", "Joiner and decorator with an eye for straight lines.",
        ("door-repair", "shelves", "flat-pack", "room-painting", "tv-mounting"),
        [(day, time(8, 30), time(12, 30)) for day in _WEEKDAYS] + [(day, time(13), time(17)) for day in _WEEKDAYS],
    ),
    (
        "dev", "Dev Patel", "A bit of everything, and Saturdays too.",
        (),
        [(day, time(10), time(19)) for day in _LATE_WEEK],
    ),
)  # fmt: skip

_HOMES = {"amara": "SE15 4QL", "tomasz": "N16 5QA", "grace": "SW11 3LU", "dev": "E8 3RT"}
"""Where their days begin and end."""

_AREA = (("E", "East London"), ("EC", "City"), ("N", "North London"), ("NW", "North West London"),
         ("SE", "South East London"), ("SW", "South West London"), ("W", "West London"), ("WC", "Holborn"))  # fmt: skip

_REVIEWS = (
    ("Priya S.", "Walthamstow", 5, "tap-repair", "Arrived at the start of the window, fixed the tap in half an hour "
     "and charged exactly what the website said."),
    ("Martin H.", "Peckham", 5, "tv-mounting", "The television is level, the cables are gone, and no dust was left."),
    ("Leah K.", "Islington", 4, "flat-pack", "Two wardrobes and a bed in one afternoon. Moved it by one day with the "
     "link in the e-mail, no phone call needed."),
    ("Owen R.", "Clapham", 5, "blocked-drain", "Told me on the phone what to try first. It did not help, so they came "
     "the next morning and it took them ten minutes."),
    ("Sofia M.", "Camden", 5, "shelves", "Six shelves on a crumbling Victorian wall and they do not move."),
)  # fmt: skip

# name, phone, street, postcode, service, days ahead, notes
_BOOKINGS = (
    ("Jordan Ellis", "07700 900101", "14 Example Street, London", "SE15 4QL", "tap-repair", 1, "Key safe by the door."),
    ("Mei Lin", "07700 900102", "Flat 3, 88 Sample Road, London", "N1 2AB", "shelves", 2, ""),
    ("Alex Morgan", "07700 900103", "5 Demo Mews, London", "E8 3RT", "tv-mounting", 2, "65 inches, brick wall."),
    ("Sam Taylor", "07700 900104", "21 Test Lane, London", "SW9 8HG", "flat-pack", 3, "One wardrobe, one desk."),
    ("Nadia Rahman", "07700 900105", "9 Pattern Square, London", "NW5 1UA", "gutter-cleaning", 5, ""),
)


@transaction.atomic
def load(*, now: datetime) -> bool:
    """Make the demo business unless there is a service already. Returns whether it was made."""
    if Service.objects.exists():
        return False
    services = {}
    for position, row in enumerate(_SERVICES):
        slug, name, group, summary, description, minutes, buffer, pricing, pence, minimum = row
        services[slug] = Service.objects.create(
            slug=slug, name=name, group=group, summary=summary, description=description, duration_minutes=minutes,
            buffer_minutes=buffer, pricing=pricing, price_pence=pence, minimum_minutes=minimum, position=position,
            deposit_pence=_DEPOSITS.get(slug, 0),
        )  # fmt: skip
    for slug, name, bio, skills, hours in _HANDYMEN:
        handyman = Handyman.objects.create(slug=slug, name=name, bio=bio, email=f"{slug}@example.com")
        handyman.skills.set([services[skill] for skill in skills] or services.values())
        WorkingHours.objects.bulk_create(
            WorkingHours(handyman=handyman, weekday=d, start=s, end=e) for d, s, e in hours
        )
    Handyman.objects.update(checked_for="Identity\nReferences\nInsured for public liability")
    Assurance.objects.bulk_create(
        Assurance(title=title, body=body, position=position) for position, (title, body) in enumerate(_ASSURANCES)
    )
    at_home = country.current().code == "GB"
    ServiceArea.objects.bulk_create(ServiceArea(prefix=prefix, name=name) for prefix, name in _AREA if at_home)
    if at_home:
        postcodes.keep(postcodes.demo())
        for slug, home in _HOMES.items():
            Handyman.objects.filter(slug=slug).update(start_postcode=home, end_postcode=home)
    zone, today = calendars.current_rules().zone, calendars.current_rules().today(now)
    Holiday.objects.bulk_create(Holiday(date=day, name=name) for day, name in _holidays(today))
    TimeOff.objects.create(
        handyman=Handyman.objects.get(slug="grace"),
        starts_at=rules.instant(today + timedelta(days=12), time(), zone),
        ends_at=rules.instant(today + timedelta(days=15), time(), zone),
        reason="Holiday",
    )
    for ago, (author, place, rating, slug, body) in enumerate(_REVIEWS, start=1):
        Review.objects.create(
            author=author, place=place, rating=rating, body=body, service=services[slug],
            date=today - timedelta(days=9 * ago),
        )  # fmt: skip
    for number, (name, phone, address, postcode, slug, ahead, notes) in enumerate(_BOOKINGS, start=1):
        if not at_home:  # London's streets are elsewhere, but numbers and postcodes read as they do here
            phone, postcode = phones.example(), country.current().example
            address = address.removesuffix(", London")
        _book(services[slug], today + timedelta(days=ahead), now, number, customer_name=name, customer_phone=phone,
              address=address, postcode=postcode, notes=notes)  # fmt: skip
    Notification.objects.all().delete()  # of visits that nobody asked for
    return True


_ASSURANCES = (
    ("Twelve months' guarantee", "If our work fails within a year, we come back and put it right, free of charge."),
    ("Insured", "We are insured for what could go wrong in your home. Ask to see the certificate."),
)


def _holidays(today: date) -> list[tuple[date, str]]:
    """The fixed feasts of the next twelve months."""
    feasts = (((12, 25), "Christmas Day"), ((12, 26), "Boxing Day"), ((1, 1), "New Year's Day"))
    coming = ((date(today.year + year, *day), name) for year in (0, 1) for day, name in feasts)
    return [(day, name) for day, name in coming if today <= day < today + timedelta(days=365)]


def _book(service: Service, day: date, now: datetime, number: int, **customer: str) -> None:
    """A visit in the diary, without the e-mails of a real one."""
    slots = calendars.next_slots(service=service, after=day, limit=5, now=now, postcode=customer["postcode"])
    slot = slots[number * 2 % len(slots)]  # not a pile of early mornings
    booking = Booking(
        service=service, handyman_id=slot.handyman_ids[0], customer_email=f"customer{number}@example.com",
        consent_at=now, idempotency_key=f"demo-{number}", **customer,
    )  # fmt: skip
    booking.take_time(slot.starts_at, slot.planned[0], kept=slot.buffer)
    booking.take_price()
    booking.save()
    history.record(booking, history.Kind.CREATED, by=history.By.CUSTOMER)
