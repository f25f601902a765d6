"""Short invented news for summaries.jsonl: kind -> (article, summary in one sentence, fillings of {0}, {1} ...).

Places and people are made up; every filling gives another article of about a hundred words.
"""

ARTICLES = {
    "bridge": (
        "The old bridge over the {0} River in {1} will be closed for {2} months. Engineers found deep cracks in two of "
        "its stone pillars during a routine check last week. The bridge was built in {3} and is used by about {4} cars "
        "each day. Until the repairs are finished, drivers have to take the highway, which adds twenty minutes to the "
        "trip. People on foot can use a small ferry that leaves every half hour. Mayor {5} said that safety comes "
        "first and that the work will cost two million dollars. Owners of shops near the bridge fear that they will "
        "lose many customers.",
        "The old bridge in {1} will be closed for {2} months because of cracks in its pillars.",
        [("Willow", "Ashford", "six", "1902", "9,000", "Laura Bennett"),
         ("Salmon", "Kingsport", "four", "1931", "12,000", "Paul Ortega"),
         ("Stone", "Millbrook", "ten", "1888", "3,000", "Helen Marsh"),
         ("Maple", "Eastwick", "three", "1954", "20,000", "Robert Lang")]),
    "rescue": (
        "{0} hikers were rescued from {1} on {2} night after they lost their way in thick fog. The group had left the "
        "marked path in the afternoon to take pictures of a waterfall. When it became dark, they called for help with "
        "the last power of their only phone. A team of twelve volunteers with two dogs searched for five hours before "
        "they found the hikers under a rock. They were cold and tired, but nobody was hurt. \"We are very grateful,\" "
        "said {3}, one of the hikers. The rescue service reminded visitors to carry a map, warm clothes and a "
        "flashlight, and to stay on the marked paths.",
        "{0} hikers who got lost in fog on {1} were rescued unhurt after a five-hour search.",
        [("Three", "Eagle Mountain", "Saturday", "Mark Dale"), ("Five", "Mount Harper", "Friday", "Susan Cole"),
         ("Four", "Bear Ridge", "Sunday", "Daniel Fox"), ("Two", "Granite Peak", "Tuesday", "Nina Brooks")]),
    "library": (
        "The public library of {0} will open on Sundays from {1} on. Until now, it was closed all weekend, and many "
        "families had asked for longer hours. A survey showed that {2} percent of the visitors would come on a Sunday. "
        "The city council agreed to pay for two more librarians. On the first Sunday there will be a reading by the "
        "children's author {3}, free cake and a sale of old books. \"A library should be open when people have time "
        "to read,\" said director {4}. The hours on other days do not change.",
        "The library of {0} will open on Sundays from {1} on because many visitors asked for longer hours.",
        [("Fairview", "March", "70", "Amy Stone", "George Hill"), ("Brookfield", "September", "64", "Carl Jensen", "Ruth Adams"),
         ("Oakland Springs", "January", "81", "Mia Torres", "Ellen Price"), ("Weston", "May", "58", "Tim Baker", "Frank Moore")]),
    "soccer": (
        "{0} beat {1} {2} in the final of the state cup on Saturday. It is the first title for the club in {3} years. "
        "{1} had the better start and hit the post after ten minutes. But in the second half {0} took control, and "
        "striker {4} scored twice with her head. More than {5} fans were in the stadium, and thousands watched the game "
        "on a big screen in the town square. Coach {6} praised the defense, which did not allow a single goal in the "
        "whole tournament. The team will be welcomed at the town hall on Monday.",
        "{0} won the state cup for the first time in {3} years by beating {1} {2} in the final.",
        [("Riverside", "Hillcrest", "2-0", "fifteen", "Julia Ramos", "8,000", "Tom Fisher"),
         ("Lakeview", "Northgate", "3-0", "twenty", "Kim Porter", "11,000", "Alice Grant"),
         ("Bayside", "Clayton", "2-0", "nine", "Dana White", "6,500", "Omar Reed"),
         ("Greenfield", "Southport", "4-0", "thirty", "Erin Wells", "14,000", "Hugo Lane")]),
    "storm": (
        "A heavy storm hit the coast of {0} on {1} and left {2} homes without power. Strong winds pulled down trees, "
        "which blocked roads and damaged power lines. In the town of {3}, the roof of a school was torn off, but the "
        "building was empty at the time. Trains in the region were stopped until the next morning. The electric "
        "company said that {4} workers were repairing the lines and that most homes should have light again within two "
        "days. The weather service expects calm and dry weather for the rest of the week.",
        "A heavy storm on the coast of {0} left {2} homes without power and blocked roads.",
        [("Maine", "Monday", "30,000", "Harbor Point", "200"), ("Oregon", "Thursday", "18,000", "Gull Bay", "150"),
         ("North Carolina", "Wednesday", "52,000", "Sandy Creek", "400"), ("Texas", "Sunday", "75,000", "Port Amos", "600")]),
    "school": (
        "Students of {0} School have built a {1} that won first prize at the national science fair. The team of {2} "
        "teenagers worked on it for eight months, mostly after class and on weekends. Their teacher, {3}, said that "
        "they paid for the parts by selling cookies. The jury praised the simple design, which costs less than {4} "
        "dollars. A company has already offered to produce it. The students want to use the prize money of ten thousand "
        "dollars to buy new tools for the school workshop, so that younger classes can build things as well.",
        "Students of {0} School won first prize at the national science fair with a {1}.",
        [("Lincoln", "water filter", "five", "Joan Clark", "40"), ("Parkside", "solar oven", "four", "Peter Voss", "60"),
         ("Washington", "talking cane for blind people", "six", "Linda Shaw", "90"),
         ("Valley", "robot that sorts trash", "seven", "Mike Turner", "120")]),
    "zoo": (
        "The zoo of {0} is celebrating the birth of {1}. The {2} was born early on {3} morning and weighs {4} pounds. "
        "Keepers said that mother {5} is taking good care of her baby and that both are healthy. It is the first "
        "{2} born in the zoo in more than ten years. For the next three weeks the animals will stay in a quiet "
        "house away from the crowds, but visitors can watch them on a screen at the entrance. The zoo asks the public to "
        "suggest a name for the baby. The best idea wins free entry for a year.",
        "A {2} was born at the zoo of {0}, the first one in more than ten years.",
        [("Denton", "a baby elephant", "baby elephant", "Tuesday", "220", "Asha"),
         ("Carlton", "a baby giraffe", "baby giraffe", "Friday", "130", "Zola"),
         ("Springdale", "a baby rhino", "baby rhino", "Monday", "100", "Nala"),
         ("Lakewood", "a baby hippo", "baby hippo", "Sunday", "75", "Bella")]),
    "factory": (
        "The company {0} will build a new factory for {1} in {2}. It plans to hire {3} workers by the end of next year. "
        "The state is helping with a tax cut and will pay for a new road to the site. Governor {4} called it the "
        "largest investment in the region for decades. {2} lost many jobs when its steel mill closed. Some people who "
        "live near the site worry about noise and traffic. The company promised to plant trees around the factory "
        "and to bring in most of the material by train.",
        "{0} will build a factory for {1} in {2} and hire {3} workers.",
        [("Voltra", "electric buses", "Marion", "900", "Diane Foster"), ("Sunwell", "solar panels", "Dayfield", "1,200", "James Holt"),
         ("Northwind", "wind turbines", "Bellport", "700", "Karen Ames"), ("Purecell", "batteries", "Granton", "2,500", "Luis Vega")]),
    "museum": (
        "A painting that was stolen from the museum of {0} {1} years ago has been found in {2}. A worker who was "
        "cleaning out the house of an old man noticed the picture behind a wardrobe and called the police. Experts "
        "confirmed that it is \"{3}\" by {4}, worth about {5} million dollars. The painting is in good condition and "
        "has only a small scratch in one corner. How it got into the house is still not known, since its owner died "
        "last year. The museum will show the painting again from next month on, this time behind glass and with a "
        "new alarm.",
        "A painting stolen from the museum of {0} {1} years ago was found in {2}.",
        [("Harlow", "twenty", "an attic", "The Blue Boat", "Edgar Lund", "three"),
         ("Stanton", "twelve", "a bedroom", "Winter Road", "Clara Weiss", "five"),
         ("Port Vale", "thirty", "a garage", "Woman with a Dog", "Henri Marot", "two"),
         ("Ellsworth", "eighteen", "a basement", "The Red Mill", "Anton Brandt", "eight")]),
    "health": (
        "People who {0} every day {1}, according to a study by researchers at the University of {2}. The team followed "
        "{3} adults for {4} years and asked them about their habits. The effect was largest in people over sixty. "
        "\"It is a small change that almost everyone can make,\" said Professor {5}, who led the study. Other experts "
        "warned that the study cannot prove what is the cause, since people with this habit may also live in a more "
        "healthy way in other respects. The researchers now plan a trial with two groups that are chosen by chance.",
        "People who {0} every day {1}, according to a study of {3} adults.",
        [("walk for thirty minutes", "sleep better", "Arden", "4,000", "six", "Maya Singh"),
         ("eat a handful of nuts", "have fewer heart problems", "Colby", "9,500", "ten", "Erik Dahl"),
         ("read for half an hour", "keep a better memory", "Redmond Hills", "2,800", "eight", "Grace Liu"),
         ("work in a garden", "feel less stress", "Westbrook", "3,200", "five", "Ivan Petrov")]),
    "animal": (
        "A {0} named {1} came home to {2} after {3} months on the road. {1} ran away during a thunderstorm while the "
        "family was on vacation, almost two hundred miles from home. The family searched for a week and put up posters, "
        "but in the end they had to leave without their pet. On {4}, their neighbor heard a noise at the gate and "
        "found the animal, thin and dirty but alive. A chip under the skin proved that it was really {1}. \"We had "
        "given up hope,\" said owner {5}. The vet expects {1} to be well again within a few weeks.",
        "A {0} named {1} found the way home to {2} {3} months after running away on a family vacation.",
        [("dog", "Rusty", "Clearwater", "five", "Sunday", "Beth Nolan"), ("cat", "Pepper", "Woodbridge", "seven", "Friday", "Alan Cruz"),
         ("cat", "Smoky", "Pine Hill", "nine", "Monday", "Rita Hayes"), ("dog", "Biscuit", "Cedar Falls", "three", "Thursday", "Joe Martin")]),
    "transit": (
        "Buses in {0} will be free for {1} starting on {2} 1. The city wants to get more people to leave their cars at "
        "home and to make the air cleaner. The plan will cost {3} million dollars a year, and the money will come from "
        "higher parking fees downtown. Mayor {4} said that similar plans in other cities had raised the number of "
        "riders by a third. The bus company is buying {5} new electric buses to have room for more passengers. Some "
        "shop owners are against the higher parking fees and fear that customers will drive to the mall instead.",
        "Buses in {0} will be free for {1} from {2} on to reduce car traffic.",
        [("Newbury", "students", "June", "four", "Sandra Kent", "fifteen"), ("Hamilton Lake", "everyone", "April", "twelve", "David Ross", "forty"),
         ("Westfield", "people over sixty", "July", "three", "Irene Walsh", "ten"), ("Aldertown", "children", "October", "two", "Martin Gray", "eight")]),
    "record": (
        "{0}, a {1}-year-old from {2}, has become the {3} person to {4}. {0} finished the journey on {5} after {6} days "
        "and was greeted by family and hundreds of fans. On the way there were storms, a broken radio and a painful "
        "injury of the shoulder. \"There were nights when I wanted to give up,\" {0} said, \"but then the sun came up and "
        "I went on.\" The trip raised more than fifty thousand dollars for a children's hospital. A book about the "
        "adventure will come out next year.",
        "{0} from {2} has become the {3} person to {4}.",
        [("Ella Warren", "seventeen", "Bridgeport", "youngest", "sail alone around the world", "Saturday", "240"),
         ("Harold Finch", "seventy-nine", "Salem", "oldest", "row across the Atlantic", "Tuesday", "68"),
         ("Tara Quinn", "thirty-two", "Boulder Creek", "fastest", "cross the country on foot", "Friday", "41"),
         ("Bruno Keller", "twelve", "Lakeside", "youngest", "swim across Lake Moran", "Sunday", "2")]),
    "school_food": (
        "Schools in {0} will no longer sell {1} to students. The school board voted {2} on {3} for the new rule, which "
        "starts in the fall. Instead, cafeterias will offer {4}. Doctors had warned that one in five children in the "
        "district is overweight. Parents welcomed the decision, but many students are not happy. \"We should be able to "
        "choose for ourselves,\" said {5}, a student of tenth grade, who collected eight hundred names against the "
        "rule. Students may still bring their own food from home. The board will look at the results after one year.",
        "Schools in {0} will stop selling {1} to students and offer {4} instead.",
        [("Madison County", "soda", "six to one", "Tuesday", "water and milk", "Kevin Park"),
         ("Riverton", "candy", "five to two", "Monday", "fresh fruit", "Lucy Hart"),
         ("Elm County", "potato chips", "four to three", "Wednesday", "nuts and carrots", "Aaron Bell"),
         ("Glenwood", "energy drinks", "seven to none", "Thursday", "juice and tea", "Sofia Marino")]),
    "farm": (
        "Farmers in {0} expect the {1} harvest of {2} in {3} years. {4}, said {5}, who speaks for the local farmers. "
        "Prices in stores are likely to {6} in the coming weeks. The region grows about a third of all {2} in the country, "
        "and four thousand people work in the harvest each year. Many farms have already changed the number of helpers "
        "that they hire. Scientists say that such swings from year to year will become more common as the climate "
        "changes, and they advise farmers to plant different crops side by side.",
        "Farmers in {0} expect the {1} harvest of {2} in {3} years, and prices are likely to {6}.",
        [("Hood Valley", "best", "apples", "ten", "There was a mild spring and enough rain", "Greg Nash", "fall"),
         ("Sutter Plains", "worst", "peaches", "twenty", "A late frost killed most of the blossoms", "Wendy Cook", "rise"),
         ("Long Prairie", "worst", "wheat", "fifteen", "It did not rain for two months", "Hank Olsen", "rise"),
         ("Bay County", "best", "tomatoes", "eight", "The summer was long and sunny", "Paula Diaz", "fall")]),
}
