import { relations } from 'drizzle-orm'
import { boolean, integer, jsonb, numeric, pgTable, primaryKey, serial, text, timestamp } from 'drizzle-orm/pg-core'

export const authors = pgTable('authors', {
  id: serial('id').primaryKey(),
  name: text('name').notNull(),
  email: text('email').notNull().unique(),
  country: text('country'),
})
export const posts = pgTable('posts', {
  id: serial('id').primaryKey(),
  title: text('title').notNull(),
  slug: text('slug').notNull().unique(),
  status: text('status').notNull().default('draft'),
  views: integer('views').notNull().default(0),
  isPinned: boolean('is_pinned').notNull().default(false),
  rating: numeric('rating', { precision: 4, scale: 2 }),
  publishedAt: timestamp('published_at', { precision: 3 }),
  createdAt: timestamp('created_at', { precision: 3 }).notNull().defaultNow(),
  meta: jsonb('meta'),
  authorId: integer('author_id').notNull(),
})
export const comments = pgTable('comments', {
  id: serial('id').primaryKey(),
  body: text('body').notNull(),
  isApproved: boolean('is_approved').notNull().default(false),
  createdAt: timestamp('created_at', { precision: 3 }).notNull().defaultNow(),
  postId: integer('post_id').notNull(),
  authorId: integer('author_id'),
  parentId: integer('parent_id'),
})
export const tags = pgTable('tags', { id: serial('id').primaryKey(), name: text('name').notNull().unique() })
export const postTags = pgTable(
  'post_tags',
  { postId: integer('post_id').notNull(), tagId: integer('tag_id').notNull() },
  (table) => [primaryKey({ columns: [table.postId, table.tagId] })],
)
export const schema = {
  authors,
  posts,
  comments,
  tags,
  postTags,
  authorRelations: relations(authors, ({ many }) => ({ posts: many(posts), comments: many(comments) })),
  postRelations: relations(posts, ({ one, many }) => ({
    author: one(authors, { fields: [posts.authorId], references: [authors.id] }),
    comments: many(comments),
    tags: many(postTags),
  })),
  commentRelations: relations(comments, ({ one, many }) => ({
    post: one(posts, { fields: [comments.postId], references: [posts.id] }),
    author: one(authors, { fields: [comments.authorId], references: [authors.id] }),
    parent: one(comments, { fields: [comments.parentId], references: [comments.id], relationName: 'replies' }),
    replies: many(comments, { relationName: 'replies' }),
  })),
  tagRelations: relations(tags, ({ many }) => ({ posts: many(postTags) })),
  postTagRelations: relations(postTags, ({ one }) => ({
    post: one(posts, { fields: [postTags.postId], references: [posts.id] }),
    tag: one(tags, { fields: [postTags.tagId], references: [tags.id] }),
  })),
}
