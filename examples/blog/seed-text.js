/** The words of the example's posts and comments. Everything that is chosen from them is chosen by a fixed seed. */

export const authors = [
  ['Ada Lindqvist', 'Keeps the tide tables and the coffee.'],
  ['Tomás Ferreira', 'Repairs boats, mostly his own.'],
  ['Mei Okafor', 'Charts the channel after each storm.'],
  ['Jun Watanabe', 'Walks the sea wall before breakfast.'],
  ['Noor El-Sayed', 'Harbour master, retired twice.'],
  ['Pádraig Ó Sé', 'Rows, badly, every Thursday.'],
  ['Inês Duarte', 'Counts birds for the county.'],
  ['Kofi Mensah', 'Builds instruments that survive salt.'],
  ['Rosa Vidal', 'Paints hulls and signs.'],
  ['Hanna Koskinen', 'Swims all year, says it is fine.'],
]

export const welcome = {
  title: 'Welcome: this page is never stale',
  body: `Everything you read here comes out of a cache. Nothing in this blog's code says when to refresh it: there is no key to name, no lifetime to guess, and no call that clears anything.

Open this page in a second window, or take the line that was printed when the blog started and paste it into a terminal. It changes this very title, in PostgreSQL, behind the blog's back. Watch both windows.

The panel beside this text shows what happened: which change arrived, which cached answers it touched, how many were left alone, and how long it took from the commit to your screen.

Then write a post, vote for one, or correct a title. The forms write straight to the database too, and know as little about the cache as you do.`,
}

/** topic → [title, first sentence][] */
export const posts = {
  tides: [
    ['The moon keeps better time than we do', 'The harbour clock lost four minutes this winter; the tide lost none.'],
    ['Reading a tide table with one hand', 'You will have a line in the other, so the table had better be short.'],
    ['Why the second high water is lower', 'Two bulges, one tilted axis, and a very patient explanation.'],
    ['Slack water is shorter than you think', 'There is a quiet that lasts as long as it takes to notice it.'],
    ['A spring tide on an ordinary Tuesday', 'Nobody had told the bicycle shed.'],
    ['Twelve neaps and a notebook', 'I wrote down the low mark every day for six months, in pencil.'],
    ['The gauge that measured a ferry', 'A neat spike at 17:42, every day except Sundays.'],
    ['Storm surge, explained with a bathtub', 'Bring a towel, a tray and somebody who will not mind the floor.'],
    ['What the barnacles know', 'They settle where they can breathe twice a day, and they are rarely wrong.'],
    [
      'Rule of twelfths, and when to break it',
      'One, two, three, three, two, one: a good rule for a bay without a bend.',
    ],
    ['An equinox from the sea wall', 'We stood three metres above the chart and got wet anyway.'],
  ],
  harbours: [
    ['A mooring is a promise with a rope', 'The knot is easy; remembering who tied it is the hard part.'],
    ['How we moved the slipway by a metre', 'Two jacks, nine people and the only dry afternoon in April.'],
    ['The quietest berth is the furthest', 'Nobody walks past, and nobody brings you the news.'],
    ['Painting numbers on the bollards', 'They had names for eighty years, which was fine until the regatta.'],
    ['Dredging, or the art of putting it back', 'The channel is where the sand would like to be.'],
    ['Fuel dock etiquette', 'Have the cap off and the small talk ready.'],
    ['The winter list', 'Everything that can wait until spring is written on one door.'],
    ['Who left the crane at the top?', 'It has a fine view there, and no way down without the key.'],
    ['Ninety metres of new fence, and a gull', 'The gull has been here longer and will stay longer.'],
    ['Ice in the inner basin', 'It sang all night, and in the morning it was thinner than my coat.'],
    ['Salt finds every screw', 'Bronze, it turns out, is cheaper than the third steel hinge.'],
  ],
  lights: [
    ['Changing the lamp at Skerry Point', 'One hundred and forty steps, and the bulb weighs less than the paperwork.'],
    ['Two flashes every ten seconds', 'Count with me; you will never mistake it for the petrol station again.'],
    ['A lens older than the road', 'It came by sea, in straw, because there was no other way to come.'],
    ['The keeper who answered letters', 'He signed each with the height of the light above high water.'],
    ['When fog has a direction', 'Sound bends in it, and so does a confident plan.'],
    ['Solar panels and cormorants', 'They agree on the best place to sit.'],
    ['The light that moved', 'The sandbank did, first; the tower only followed.'],
    ['Sector lights without tears', 'White is safe, red is not, and green depends on which way you face.'],
    ['An afternoon with the spare bulb', 'It has been spare since 1988 and is very good at it.'],
    ['Who pays for the dark?', 'Fewer lights, fewer birds lost: the bill is not where we looked for it.'],
    ['Paint, rust, paint', 'A lighthouse is mostly its last coat.'],
  ],
  crossings: [
    ['The six o’clock ferry leaves at six', 'We have tested this with a child, a dog and a cello.'],
    ['Rowing across on a falling tide', 'Aim for the church and you will arrive at the pub.'],
    ['What to pack for forty minutes', 'A hat, a second hat, and something for the person beside you.'],
    ['The causeway is not a shortcut', 'It is a road that has an appointment elsewhere twice a day.'],
    ['A chart with coffee on it', 'The stain is accurate to half a cable; the soundings are from 1911.'],
    ['Crossing with bees', 'They prefer the leeward side, like everybody.'],
    ['Night passage, no moon', 'Dark is not the absence of things, only of hurry.'],
    ['Swimming to the island', 'Cold for eight minutes, then a conversation with your feet.'],
    ['Lost, one oar', 'If found, it answers to nothing and floats blade down.'],
    ['The bridge we did not build', 'Four drawings, two councils, and a boat that still does it in nine minutes.'],
    ['Three languages for one wind', 'It has a name on each shore, and all three are rude.'],
  ],
}

export const paragraphs = [
  'The water does not hurry, and it is never late. You learn to arrange the day around it, and after a while you stop calling that patience.',
  'We measured it twice, then once more because nobody believed the first two. The third reading agreed with the second, so we went home.',
  'There is a mark on the wall, green below and grey above, and it has not been wrong in my lifetime. Everything under it has been touched; everything above it has been left alone.',
  'My neighbour keeps a list of what the sea has returned: a glove, a door, eleven bottles, a letter that could no longer be read. He does not keep a list of what it took.',
  'If you come at low water you can see how it was built: not to stand against the sea, but to be easy to mend.',
  'The old log books say the same thing in better handwriting. They give the hour, the height, the wind, and one word for the mood of the keeper.',
  'Somebody asked what it is for. We said it is for the days on which you need it, and pointed at the paint, the rope and the kettle.',
  'On the way back the wind had gone round, the dog was asleep, and the light came on a minute before we expected it.',
  'It is the kind of work that shows only when it is not done. So we write it down here, where at least other people who like lists may find it.',
  'Next time I would bring a longer line, a shorter speech and the other shoes.',
  'A gull watched all of it from the third bollard, with the air of somebody who had signed off on the plan and regretted it.',
  'By evening the mark was dry again, and a finger higher than the last one.',
]

export const comments = [
  'I was there, and it was wetter than that.',
  'Please write about the north wall next.',
  'My grandfather had the same notebook.',
  'Half past five is not “early”.',
  'Thank you. I finally understand the second high water.',
  'The gull says hello.',
  'Could you add the readings from March?',
  'We tried this on Sunday and only lost one shoe.',
  'Bronze. Always bronze.',
  'Is the slipway open again?',
  'This is the best thing I have read on a wet bench.',
  'You forgot the kettle.',
  'The ferry captain would like a word.',
  'Does it work in fresh water?',
  'I have the other oar!',
  'Lovely. Sent it to my sister on the island.',
  'The stain is tea, not coffee.',
  'Counted it last night: ten seconds exactly.',
  'What did the bees say?',
  'More of this, please.',
  'A finger higher than last year, here too.',
  'I would read a whole book about the winter list.',
  'It was not me who left the crane at the top.',
  'Three hats.',
]
